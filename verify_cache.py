"""Hash every object of DVC's cache: `python verify_cache.py` names those that are damaged.

DVC does not: it trusts an object as long as it is read-only, restores a damaged one in place of an
out, and says that all is up to date (tried with 3.67).
"""

import hashlib
import re
import subprocess
from pathlib import Path

from tqdm import tqdm

from src.cli import InputError, run


def main() -> None:
    said = subprocess.run(["dvc", "cache", "dir"], stdout=subprocess.PIPE, text=True)
    if said.returncode:
        raise InputError("DVC cannot tell where its cache is; see above")
    objects = [
        path
        for path in sorted(Path(said.stdout.strip()).glob("files/md5/??/*"))
        if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name)
    ]
    damaged = [
        path for path in tqdm(objects, unit="object", disable=None) if md5(path) != oid(path)
    ]
    if damaged:
        raise InputError(
            f"damaged: {' '.join(map(str, damaged))}; delete what is damaged, then 'dvc repro' "
            "makes it again ('dvc pull' or its source brings back what 'dvc add' added)"
        )
    print(f"{len(objects)} objects, all of them whole")


def oid(path: Path) -> str:
    """The MD5 that an object's name says."""
    return path.parent.name + path.name.removesuffix(".dir")


def md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


if __name__ == "__main__":
    run(main)
