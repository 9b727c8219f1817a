"""An out or an object of DVC's cache is damaged or gone, and `dvc repro` repairs it.

DVC trusts a read-only object: only one that was made writable is hashed again.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.clones import Clone, list_damaged_objects

pytestmark = pytest.mark.slow

WEIGHTS = "models/conv_nn2.safetensors"
FLAT = "data/flat/x_train.npy"
# One for each way in which a stage writes: folders, arrays, weights, tables and pictures.
FORCED_STAGES = ("sample", "load", "train@conv_nn2", "compare")


@pytest.fixture
def linked(clone: Clone) -> Clone:
    """Return a finished pipeline whose outs are links into its cache, where there are links."""
    for name in ("data", "models"):
        shutil.rmtree(clone.folder / name)
    clone.run("git", "checkout", "data", "models")
    clone.run("dvc", "checkout")
    return clone


def delete_both(path: Path) -> None:
    """Delete an out and its object."""
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    top = next(parent for parent in path.parents if (parent / ".dvc").exists())
    (top / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    path.unlink()


def replace_file(path: Path) -> None:
    """Write another content as most editors do: into a new file."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + b"x")


def edit_in_place(path: Path) -> None:
    """Flip a bit of a file made writable, and so of the object to which the file is a link."""
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(content)


@pytest.mark.parametrize("damage", [Path.unlink, delete_both, replace_file, edit_in_place])
def test_repro_repairs_a_damaged_file_and_folder(
    finished: Clone, linked: Clone, damage: Callable[[Path], None]
) -> None:
    damage(linked.folder / WEIGHTS)
    damage(linked.folder / FLAT)
    linked.repro()
    assert linked.read_outs() == finished.read_outs()
    assert list_damaged_objects(linked) == []


def test_repro_force_leaves_the_cache(finished: Clone, linked: Clone) -> None:
    for name in linked.read_outs():
        (linked.folder / name).chmod(0o444)
    for stage in FORCED_STAGES:
        linked.shell(f"dvc repro -f --single-item {stage}")
    assert linked.read_outs() == finished.read_outs()
    assert list_damaged_objects(linked) == []
