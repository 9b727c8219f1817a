"""Check the members of a zip before one is read: what a zip says of itself may be a lie."""

import zlib
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, BadZipFile, ZipFile

from mri_stages.errors import InputError

# zipfile unpacks other methods without a limit: 50 bytes of bzip2 may hold 46 MB.
BOUNDED_METHODS = (ZIP_STORED, ZIP_DEFLATED)
OTHER_METHODS = {9: "deflate64", ZIP_BZIP2: "bzip2", ZIP_LZMA: "LZMA"}

# What zipfile raises for damaged, encrypted and unknown members.
MEMBER_ERRORS = (
    BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


def check_members(source: Path, archive: ZipFile) -> None:
    """Raise InputError if a member cannot be read within bounded memory, or lies nowhere."""
    n_bytes = source.stat().st_size
    for member in archive.infolist():
        if member.compress_type not in BOUNDED_METHODS:
            method = OTHER_METHODS.get(member.compress_type, f"method {member.compress_type}")
            raise InputError(
                f"{source}: {member.filename} is compressed by {method}, expected deflate or no "
                "compression; unpack the zip, and pack it again"
            )
        if not 0 <= member.header_offset < n_bytes:
            raise InputError(
                f"{source}: {member.filename} begins at byte {member.header_offset}, expected one "
                f"of the {n_bytes} bytes of the file; it is damaged"
            )
