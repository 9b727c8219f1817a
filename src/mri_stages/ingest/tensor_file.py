"""Read a file that torch.save wrote as data: nothing is unpickled, so no code in it runs."""

import warnings
import zipfile
from pathlib import Path

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from mri_stages.console import make_printable
from mri_stages.errors import InputError

EXPECTED = "expected a tensor written by torch.save(tensor, path)"
LFS_START = b"version https://git-lfs"  # of the file that stands in place of a large one

LIST_ADVICE = "torch.stack(x) of tensors, torch.tensor(x) of numbers, or one item, such as x[0]"
DICT_ADVICE = "one of its tensors, x[KEY], or torch.stack(list(x.values()))"
# What to save instead of an object of these classes. The first class of a file counts, so outer
# classes stand before those that they contain.
ADVICE = {
    "torch.utils.data.dataset.Subset": "torch.stack([row[0] for row in subset]) (labels: row[1])",
    "torch.utils.data.dataset.TensorDataset": "dataset.tensors[0] (labels: dataset.tensors[1])",
    "numpy.ndarray": "torch.from_numpy(x), or of a list torch.from_numpy(np.stack(x))",
    "numpy.dtype": "torch.tensor(x)",  # a single NumPy number
    "list": LIST_ADVICE,
    "dict": DICT_ADVICE,
    "tuple": LIST_ADVICE,
    "OrderedDict": DICT_ADVICE,
}


def read_tensor(path: Path) -> torch.Tensor:
    """Return the dense tensor that torch.save wrote to `path`, memory-mapped.

    Raise InputError for any other file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, {EXPECTED}")
    try:
        is_zip = zipfile.is_zipfile(path)  # PyTorch before 1.6 wrote no zip, which cannot be mapped
        record_sizes = read_record_sizes(path) if is_zip else None
        # PyTorch warns of unfinished support for kinds of tensor that are refused below.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            tensor = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # of the file itself; that of a file which is cut short names none
        # Damaged files raise errors of any kind, and PyTorch's texts recommend to run the code.
        raise explain_content(path, list_classes(path)) from None

    if not isinstance(tensor, torch.Tensor):
        raise explain_content(path, [type(tensor).__name__])
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        raise InputError(f"{path}: a sparse, nested or meta tensor, expected a dense one")
    # torch maps as many bytes as the tensor has, even if its record in the zip is shorter.
    if record_sizes is not None and record_sizes != [tensor.untyped_storage().nbytes()]:
        raise InputError(f"{path}: a zip that another program changed, {EXPECTED}")
    return tensor.detach()


def read_record_sizes(path: Path) -> list[int]:
    """Return the bytes of each record of values in a zip of torch; InputError if compressed."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise InputError(f"{path}: a compressed zip, {EXPECTED}; unpack it")
    return [member.file_size for member in members if "/data/" in member.filename]


def list_classes(path: Path) -> list[str]:
    """Return the classes of the objects in a file, sorted; none if the file is damaged.

    Classes that only serve others (of numpy and builtins) are left out where there are others.
    """
    try:
        names = sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:  # damaged files raise errors of any kind
        return []
    main_names = [name for name in names if not name.startswith(("numpy.", "builtins."))]
    return main_names or names


def read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(LFS_START))


def explain_content(path: Path, classes: list[str]) -> InputError:
    """Return the error for a file of objects of these classes, which says what to save instead."""
    if read_start(path).startswith(LFS_START):
        return InputError(f"{path}: a pointer of Git LFS, {EXPECTED}; 'git lfs pull' brings it")
    if not classes:
        return InputError(f"{path}: damaged, or holds more than numbers, {EXPECTED}")
    name = next((name for name in ADVICE if name in classes), classes[0])
    advice = ADVICE.get(name, "its tensor alone")
    return InputError(f"{path}: holds {make_printable(name)}, {EXPECTED}; save {advice}")
