"""No room for a file: one line names it and its size, nothing is half-written; then it works."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import ONE_MODEL, REPO, write_raw
from tests.helpers.stages import copy_environment

pytestmark = pytest.mark.slow

resource = pytest.importorskip("resource", reason="no limits on Windows")

COMMANDS = ["stages.sample", "mri-stages import set --out data/images", "stages.load",
            "stages.plot_sample", "stages.baselines", "stages.scale", "stages.train small",
            "stages.evaluate small", "stages.cross_validate small", "stages.summarise small",
            "stages.compare", "stages.report"]  # fmt: skip


def run(folder: Path, command: str, file_bytes: int = -1) -> subprocess.CompletedProcess[str]:
    """Run a command that may write no file larger than `file_bytes`."""
    return subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=folder,
        # joblib warns that it can make no semaphores, which are files.
        env={
            **os.environ,
            "PYTHONPATH": f"{REPO}/src{os.pathsep}{REPO}",
            "PYTHONWARNINGS": "ignore",
        },
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes)),
        capture_output=True,
        text=True,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


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


@pytest.mark.parametrize("kind", ["small_disk", "tmp_path"])
def test_commands_without_room_name_the_file_and_its_size(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    folder: Path = request.getfixturevalue(kind)
    write_raw(folder / "data/raw")
    (folder / "params.yaml").write_text(ONE_MODEL)
    copy_environment(folder)
    for image in ("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/0.png"):
        (folder / "set" / image).parent.mkdir(parents=True)
        Image.effect_noise((64, 64), 50).save(folder / "set" / image)
    for command in COMMANDS:
        before = files(folder)
        undisturbed = tmp_path_factory.mktemp("undisturbed")
        shutil.copytree(folder, undisturbed, dirs_exist_ok=True)
        assert run(undisturbed, command).returncode == 0
        after = files(undisturbed)
        sizes = sorted(len(data) for name, data in after.items() if name not in before)

        limits: tuple[int, ...] = (-1,) if kind == "small_disk" else (sizes[0] - 1, sizes[-1] - 1)
        if "cross_validate" in command:  # it leaves its finished folds, so that it can resume
            limits = ()
        # No room for any file, or for the largest one, or for half of it.
        for limit in limits:
            filler, room = folder / "filler", sizes[-1] // 2
            if kind == "small_disk":
                filler.write_bytes(bytes(shutil.disk_usage(folder).free - room))
            said = run(folder, command, limit)
            filler.unlink(missing_ok=True)
            assert said.returncode == 1, said
            found = re.fullmatch(r"error: (\S+): .* takes (\S+) bytes, ([\d,]*).*\n", said.stderr)
            assert found, said.stderr
            name, takes, free = (text.replace(",", "") for text in found.groups())
            # import_images fills pixels.npy, of both splits, first.
            names = {re.sub(r"pixels\.npy$", f"{s}_data.pt", name) for s in ("train", "test")}
            size = sum(len(after[of]) for of in names)
            assert int(takes) <= size <= int(takes) + 2000 * len(names)  # PyTorch's zip around it
            assert kind == "tmp_path" or int(free) <= room
            left = files(folder)
            assert left == {**before, **{name: after[name] for name in left}}
        assert run(folder, command).returncode == 0
        assert files(folder) == after
