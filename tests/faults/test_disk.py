"""No room for a file: one line names it and its size, nothing is half-written; then it works."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.helpers.params import ONE_MODEL, write_params
from tests.helpers.preloaded import NO_LIMIT, Completed, run_module
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import copy_environment, make_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no limits on Windows"),
]

COMMANDS = (
    "stages.sample",
    "mri_stages import set --out data/images",
    "stages.load",
    "stages.plot_sample",
    "stages.assign_folds",
    "stages.neighbours",
    "stages.leakage",
    "stages.baselines",
    "stages.scale",
    "stages.train small",
    "stages.evaluate small",
    "stages.cross_validate small",
    "stages.summarise small",
    "stages.combine",
    "stages.groups",
    "stages.failures",
    "stages.compare",
    "stages.sheet",
    "stages.report",
)
IMAGES = ("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/0.png")
MAX_ZIP_BYTES = 2000  # what PyTorch's zip adds to the tensor of a .pt file
NO_ROOM = re.compile(r"error: (\S+): .* takes (\S+) bytes, ([\d,]*).*\n")

Files = dict[str, bytes]  # content by path


def run_command(folder: Path, command: str, max_file_bytes: int = NO_LIMIT) -> Completed:
    """Run a command of this checkout that may write no larger file."""
    return run_module(folder, command.split(), make_environment(), max_file_bytes)


def read_files(folder: Path) -> Files:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def write_files(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def write_inputs(folder: Path) -> None:
    """Write a raw folder, params of one model, and four images to import."""
    write_raw(folder / "data/raw")
    write_params(folder, ONE_MODEL)
    copy_environment(folder)
    rng = np.random.default_rng(0)
    for name in IMAGES:
        image = folder / "set" / name
        image.parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (64, 64), np.uint8)).save(image)


class Undisturbed(NamedTuple):
    """What a command writes that nothing disturbs."""

    files: Files  # all files after it
    smallest_size: int  # of its new files
    largest_size: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Undisturbed]:
    """Run all commands; return what each of them wrote."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_inputs(folder)
    results = {}
    files_before = read_files(folder)
    for command in COMMANDS:
        assert run_command(folder, command).returncode == 0
        files = read_files(folder)
        sizes = [len(content) for name, content in files.items() if name not in files_before]
        results[command] = Undisturbed(files, min(sizes), max(sizes))
        files_before = files
    return results


def assert_no_room(process: Completed, expected: Files) -> str:
    """Check the one line of an error; return the number of free bytes that it names, or none."""
    assert process.returncode == 1, process
    message = NO_ROOM.fullmatch(process.stderr)
    assert message is not None, process.stderr
    name, needed_bytes, free_bytes = (text.replace(",", "") for text in message.groups())

    # An import fills pixels.npy, of both splits, before it writes the tensors.
    names = {re.sub(r"pixels\.npy$", f"{split}_data.pt", name) for split in ("train", "test")}
    size = sum(len(expected[path]) for path in names)
    assert int(needed_bytes) <= size <= int(needed_bytes) + MAX_ZIP_BYTES * len(names)
    return free_bytes


def assert_nothing_half_written(folder: Path, before: Files, expected: Files) -> None:
    files = read_files(folder)
    assert files == {**before, **{name: expected[name] for name in files}}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 32 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_commands_on_a_full_disk_name_the_file(
    small_disk: Path, undisturbed: dict[str, Undisturbed]
) -> None:
    write_inputs(small_disk)
    for command, (expected, _, largest_size) in undisturbed.items():
        before = read_files(small_disk)

        # A stage of cross-validation leaves its finished folds, so that it can resume.
        if "cross_validate" not in command:
            room = largest_size // 2
            filler = small_disk / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - room))
            process = run_command(small_disk, command)
            filler.unlink()
            free_bytes = assert_no_room(process, expected)
            assert int(free_bytes) <= room
            assert_nothing_half_written(small_disk, before, expected)

        assert run_command(small_disk, command).returncode == 0
        assert read_files(small_disk) == expected


def test_commands_beyond_the_file_limit_name_the_file(
    tmp_path: Path, undisturbed: dict[str, Undisturbed]
) -> None:
    write_inputs(tmp_path)
    for command, (expected, smallest_size, largest_size) in undisturbed.items():
        before = read_files(tmp_path)

        if "cross_validate" not in command:
            # No room for any file, or for the largest one.
            for max_file_bytes in sorted({smallest_size - 1, largest_size - 1}):
                process = run_command(tmp_path, command, max_file_bytes)
                assert_no_room(process, expected)
                assert_nothing_half_written(tmp_path, before, expected)

        # The next command finds what an undisturbed one leaves.
        write_files(tmp_path, expected)
