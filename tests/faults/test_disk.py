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
from tests.pipeline.conftest import Clone

pytestmark = pytest.mark.slow

resource = pytest.importorskip("resource", reason="no limits on Windows")

COMMANDS = ["stages.sample", "scripts.import_images set --out data/images", "stages.load",
            "stages.baselines", "stages.scale", "stages.train small", "stages.evaluate small",
            "stages.compare", "stages.report"]  # fmt: skip
Files = dict[str, bytes]


def run(folder: Path, command: str, file_bytes: int = -1) -> subprocess.CompletedProcess[str]:
    """Run a command that may write no file larger than `file_bytes`."""
    return subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes)),
        capture_output=True,
        text=True,
    )


def files(folder: Path) -> Files:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def before_and_after(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Files]]:
    """Return for each command a folder with its inputs, and the files that it then writes."""
    top = tmp_path_factory.mktemp("commands")
    folder = top / "finished"
    write_raw(folder / "data/raw")
    (folder / "params.yaml").write_text(ONE_MODEL)
    for image in ("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/0.png"):
        (folder / "set" / image).parent.mkdir(parents=True)
        Image.effect_noise((64, 64), 50).save(folder / "set" / image)
    found = {}
    for number, command in enumerate(COMMANDS):
        given = top / str(number)
        shutil.copytree(folder, given)
        done = run(folder, command)
        assert done.returncode == 0, done.stderr
        before = files(given)
        found[command] = given, {n: data for n, data in files(folder).items() if n not in before}
    return found


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


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("room", ["all but the smallest", "all but the largest", "half a disk"])
def test_command_without_room_names_the_file_and_its_size(
    before_and_after: dict[str, tuple[Path, Files]],
    request: pytest.FixtureRequest,
    command: str,
    room: str,
) -> None:
    given, made = before_and_after[command]
    sizes = sorted(map(len, made.values()))
    folder: Path = request.getfixturevalue("small_disk" if "disk" in room else "tmp_path")
    shutil.copytree(given, folder, dirs_exist_ok=True)
    limit = -1 if "disk" in room else sizes[-1 if "largest" in room else 0] - 1
    filler = folder / "filler"
    if "disk" in room:
        filler.write_bytes(bytes(shutil.disk_usage(folder).free - sizes[-1] // 2))
    said = run(folder, command, limit)
    filler.unlink(missing_ok=True)

    assert said.returncode == 1, said
    found = re.fullmatch(r"error: (\S+): .* takes ([\d,]+) bytes, ([\d,]*).*\n", said.stderr)
    assert found, said.stderr
    name, takes, free = (text.replace(",", "") for text in found.groups())
    name = re.sub(r"_data\.npy$", "_data.pt", name)  # import_images fills it first
    assert int(takes) <= len(made[name]) <= int(takes) + 2000  # and PyTorch's zip around it
    assert "disk" not in room or int(free) <= sizes[-1] // 2
    left, before = files(folder), files(given)
    assert left == {**before, **{name: made[name] for name in left if name in made}}
    assert run(folder, command).returncode == 0
    assert files(folder) == {**before, **made}


def test_dvc_repro_resumes_when_there_is_room(finished: Clone, clone: Clone) -> None:
    clone.edit("params.yaml", "epochs: 1", "epochs: 2")
    limit = 10**6  # too little for the weights of simple_nn2
    limited = clone.start(
        "dvc",
        "repro",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said = limited.communicate()[0]
    assert limited.returncode == 255
    assert re.search(r"\nerror: models/simple_nn2\S+: .* takes [\d,]+ bytes", said)
    assert "Traceback" not in said
    assert "train@simple_nn2" in clone.repro()
    clone.edit("params.yaml", "epochs: 2", "epochs: 1")
    clone.repro()
    assert clone.outs() == finished.outs()
