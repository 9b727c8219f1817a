"""A file that torch.save wrote, read as data: nothing in it is unpickled, so no code of it runs."""

import warnings
import zipfile
from pathlib import Path

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from mri_stages.console import make_printable
from mri_stages.errors import InputError

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
        sizes = _stored_sizes(path) if in_zip else None
        with warnings.catch_warnings(action="ignore"):  # of kinds of tensor that are refused below
            tensor = torch.load(path, map_location="cpu", weights_only=True, mmap=in_zip)
    except (InputError, OSError):
        raise
    except Exception:  # of any kind if damaged; torch's text recommends to run the code
        raise _no_tensor(path, _classes_in(path)) from None
    if not isinstance(tensor, torch.Tensor):
        raise _no_tensor(path, [type(tensor).__name__])
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        raise InputError(f"{path}: a sparse, nested or meta tensor, expected a dense one")
    # torch maps as many bytes as the tensor has, also where its record in the zip is shorter.
    if sizes not in (None, [tensor.untyped_storage().nbytes()]):
        raise InputError(f"{path}: a zip that another program changed, {EXPECTED}")
    return tensor.detach()


def _stored_sizes(path: Path) -> list[int]:
    """Return the bytes of each record of values in torch's zip."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise InputError(f"{path}: a compressed zip, {EXPECTED}; unpack it")
    return [member.file_size for member in members if "/data/" in member.filename]


def _classes_in(path: Path) -> list[str]:
    """Return the classes in a file, without those that serve the others; [] if it is damaged."""
    try:
        found = sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:  # of any kind, as above
        return []
    return [name for name in found if not name.startswith(("numpy.", "builtins."))] or found


def _no_tensor(path: Path, classes: list[str]) -> InputError:
    if not classes:
        return InputError(f"{path}: damaged, or holds more than numbers, {EXPECTED}")
    name = next((name for name in INSTEAD if name in classes), classes[0])
    instead = INSTEAD.get(name, "its tensor alone")
    return InputError(f"{path}: holds {make_printable(name)}, {EXPECTED}; save {instead}")
