"""An out or an object of DVC's cache is damaged or gone: what notices, and what repairs it."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import damaged_objects, outs
from tests.pipeline.conftest import Clone

pytestmark = pytest.mark.slow

WEIGHTS, FLAT = "models/conv_nn2.safetensors", "data/flat/x_train.npy"


@pytest.fixture
def linked(clone: Clone) -> Clone:
    """A finished pipeline whose outs are links into its cache, where the file system has links."""
    for name in ("data", "models"):
        shutil.rmtree(clone.folder / name)
    clone.run("git", "checkout", "data", "models")
    clone.run("dvc", "checkout", "dvc.yaml")  # the studies have not run here
    return clone


def cached(path: Path) -> Path:
    """The object of the cache that holds what stands at `path`."""
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    top = next(parent for parent in path.parents if (parent / ".dvc").exists())
    return top / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def flip_a_bit(path: Path) -> None:
    """In place, so in what is linked to it too; the mode stays as it is."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    mode = path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(content)
    path.chmod(mode)


def delete_object(path: Path) -> None:
    cached(path).unlink()


def delete_out(path: Path) -> None:
    path.unlink()


def delete_both(path: Path) -> None:
    delete_object(path)
    delete_out(path)


def replace(path: Path) -> None:
    """As most editors save."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + b"x")


def edit_in_place(path: Path) -> None:
    """As only someone can who makes the read-only file writable, or root."""
    path.chmod(0o644)
    flip_a_bit(path)


@pytest.mark.parametrize("name", [WEIGHTS, FLAT])
@pytest.mark.parametrize("damage", [delete_object, delete_out, delete_both, replace, edit_in_place])
def test_dvc_repro_repairs(
    finished: Clone, linked: Clone, damage: Callable[[Path], None], name: str
) -> None:
    damage(linked.folder / name)
    linked.repro()
    assert outs(linked) == outs(finished)
    assert damaged_objects(linked) == []


@pytest.mark.parametrize("name", [WEIGHTS, FLAT])
def test_a_read_only_object_that_is_damaged_is_named_and_after_its_deletion_made_again(
    finished: Clone, linked: Clone, name: str
) -> None:
    assert linked.run("python", "verify_cache.py").endswith("all of them whole\n")
    object_ = cached(linked.folder / name)
    flip_a_bit(object_)
    process = linked.start("python", "verify_cache.py")
    said, _ = process.communicate()
    assert process.returncode == 1
    assert said.startswith(f"error: damaged: {object_}; delete")
    object_.unlink()
    linked.repro()
    assert outs(linked) == outs(finished)
    assert damaged_objects(linked) == []


def test_outs_that_are_read_only_are_made_again_and_the_cache_stays(
    finished: Clone, linked: Clone
) -> None:
    for name in outs(linked):
        (linked.folder / name).chmod(0o444)
    linked.run("dvc", "repro", "--force")
    assert outs(linked) == outs(finished)
    assert damaged_objects(linked) == []


def test_raw_data_that_changed_while_unlinked_is_noticed(linked: Clone) -> None:
    shutil.copytree(linked.folder / "data/sample", linked.folder / "data/raw")
    linked.run("dvc", "add", "data/raw")
    linked.edit("params.yaml", "raw: data/sample", "raw: data/raw")
    linked.run("dvc", "repro", "load")
    before = (linked.folder / FLAT).read_bytes()
    linked.run("dvc", "unprotect", "data/raw")
    shutil.copy(linked.folder / "data/raw/test_data.pt", linked.folder / "data/raw/train_data.pt")
    for kind in ("labels", "subjects"):
        raw = linked.folder / "data/raw"
        shutil.copy(raw / f"test_{kind}.pt", raw / f"train_{kind}.pt")
    assert "Running stage 'load'" in linked.run("dvc", "repro", "load")
    assert (linked.folder / FLAT).read_bytes() != before
    assert damaged_objects(linked) == []
