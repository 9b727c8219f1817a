"""A file that torch.save wrote, read as data and never as code.

A file that holds no tensor is refused by the name of what it holds, and nothing is unpickled.
"""

import warnings
import zipfile
from pathlib import Path

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from src.cli import InputError, printable

EXPECTED = "expected a tensor written by torch.save(tensor, path)"
# What to save instead of an object of these classes, the outer ones first.
INSTEAD = {
    "torch.utils.data.dataset.Subset": "torch.stack([row[0] for row in subset]) (labels: row[1])",
    "torch.utils.data.dataset.TensorDataset": "dataset.tensors[0] (labels: dataset.tensors[1])",
    "numpy.ndarray": "torch.from_numpy(x), or of a list torch.from_numpy(np.stack(x))",
    "numpy.dtype": "torch.tensor(x)",  # of single numbers
    "list": "torch.stack(x) of tensors, torch.tensor(x) of numbers, or one item, such as x[0]",
    "dict": "one of its tensors, x[KEY], or torch.stack(list(x.values()))",
}
INSTEAD |= {"tuple": INSTEAD["list"], "OrderedDict": INSTEAD["dict"]}


def read_tensor(path: Path) -> torch.Tensor:
    """Return the dense tensor that torch.save wrote to `path`, memory-mapped; else InputError."""
    if not path.is_file():
        raise InputError(f"{path}: no such file, {EXPECTED}")
    try:
        in_zip = zipfile.is_zipfile(path)  # the format before PyTorch 1.6 cannot be mapped
        sizes = _sizes_in_zip(path) if in_zip else None
        with warnings.catch_warnings(action="ignore"):  # of kinds of tensor that are refused below
            tensor = torch.load(path, map_location="cpu", weights_only=True, mmap=in_zip)
    except (InputError, OSError):
        raise
    except Exception:  # of any kind after random bytes; torch's text recommends to run the code
        raise _no_tensor(path, _classes_in(path)) from None
    if not isinstance(tensor, torch.Tensor):
        raise _no_tensor(path, [type(tensor).__name__])
    _check_storage(path, tensor, sizes)
    return tensor.detach()


def _classes_in(path: Path) -> list[str]:
    """Return the classes of the objects in a file, except what serves others; [] if damaged."""
    try:
        found = sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:  # of any kind after random bytes
        return []
    if "numpy.ndarray" in found and all(name.startswith("numpy.") for name in found):
        return ["numpy.ndarray"]
    return [name for name in found if not name.startswith(("numpy.", "builtins."))] or found


def _no_tensor(path: Path, classes: list[str]) -> InputError:
    if not classes:
        return InputError(f"{path}: damaged, or holds more than numbers, {EXPECTED}")
    instead = next((INSTEAD[name] for name in INSTEAD if name in classes), "its tensor alone")
    names = printable(", ".join(classes[:5]))
    return InputError(f"{path}: holds {names}, {EXPECTED}; save {instead}")


def _sizes_in_zip(path: Path) -> list[int]:
    """Return the bytes of each record of values in torch's zip, which compresses nothing."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(m.compress_type or m.compress_size != m.file_size for m in members):  # 0 is stored
        raise InputError(f"{path}: a compressed zip, {EXPECTED}")
    return [m.file_size for m in members if "/data/" in m.filename]


def _check_storage(path: Path, tensor: torch.Tensor, sizes: list[int] | None) -> None:
    """Raise InputError unless `tensor` is dense, and stored whole in the zip's records `sizes`."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        raise InputError(f"{path}: a sparse, nested or meta tensor, expected a dense one")
    stored = tensor.untyped_storage().nbytes()
    # torch maps as many bytes as the tensor has, also where its record in the zip is shorter.
    if sizes not in (None, [stored]):
        raise InputError(f"{path}: a zip that another program changed, {EXPECTED}")
    if tensor.nbytes > max(2**30, 1000 * stored):
        raise InputError(f"{path}: {stored} bytes as {tensor.nbytes}; save x.contiguous()")
