"""No room for a file: one line names it and what it takes, nothing is half-written; then go on."""

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
from tests.faults.conftest import outs
from tests.pipeline.conftest import Clone

pytestmark = pytest.mark.slow

resource = pytest.importorskip("resource", reason="no limits on Windows")

COMMANDS = {
    "sample": ["sample"],
    "images": ["images", "set", "--out", "data/images"],
    "load": ["load"],
    "baselines": ["baselines"],
    "scale": ["scale"],
    "train": ["train", "small"],
    "evaluate": ["evaluate", "small"],
    "compare": ["compare"],
    "report": ["report"],
}


def run_stage(folder: Path, stage: str, file_bytes: int = -1) -> subprocess.CompletedProcess[str]:
    """Run a stage that may write no file larger than `file_bytes`."""
    return subprocess.run(
        [sys.executable, "-m", f"stages.{COMMANDS[stage][0]}", *COMMANDS[stage][1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes)),
        capture_output=True,
        text=True,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".run.json")
    }


@pytest.fixture(scope="module")
def before_and_after(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[Path, dict[str, bytes]]]:
    """For each stage a folder that holds what it reads, and the files that it then makes."""
    top = tmp_path_factory.mktemp("stages")
    folder = top / "finished"
    write_raw(folder / "data/raw")
    one_epoch = ONE_MODEL.replace("epochs: 2", "epochs: 1")  # so that no checkpoint is written
    (folder / "params.yaml").write_text(one_epoch)
    for split in ("train", "test"):
        for name in ("a", "b"):
            path = folder / f"set/{split}/{name}/0.png"
            path.parent.mkdir(parents=True)
            Image.effect_noise((64, 64), 50).save(path)
    stages = {}
    for stage in COMMANDS:
        shutil.copytree(folder, top / stage)
        done = run_stage(folder, stage)
        assert done.returncode == 0, done.stderr
        given = files(top / stage)
        made = {name: content for name, content in files(folder).items() if name not in given}
        stages[stage] = top / stage, made
    return stages


def check_error(said: subprocess.CompletedProcess[str], made: dict[str, bytes], why: str) -> int:
    """One line, status 1, a file of the stage with its size; the bytes that it said are free."""
    assert said.returncode == 1, said
    found = re.fullmatch(
        rf"error: (\S+): {why}: it takes ([\d,]+) bytes, (more than|[\d,]+) .*\n", said.stderr
    )
    assert found, said.stderr
    name, takes, free = (text.replace(",", "") for text in found.groups())
    if name.endswith(".pixels"):  # what `images` fills before it saves it
        name = name.replace(".pixels", ".pt")
    assert int(takes) <= len(made[name]) <= int(takes) + 2000  # and PyTorch's zip around it
    return int(free) if free.isdigit() else 0


@pytest.mark.parametrize("stage", COMMANDS)
@pytest.mark.parametrize("which", ["smallest", "largest"])
def test_a_file_larger_than_it_may_be(
    before_and_after: dict[str, tuple[Path, dict[str, bytes]]],
    tmp_path: Path,
    stage: str,
    which: str,
) -> None:
    given, made = before_and_after[stage]
    sizes = sorted(map(len, made.values()))
    limit = (sizes[0] if which == "smallest" else sizes[-1]) - 1
    shutil.copytree(given, tmp_path, dirs_exist_ok=True)
    said = run_stage(tmp_path, stage, limit)
    check_error(said, made, "File too large")
    left = files(tmp_path)
    assert left == {**files(given), **{name: made[name] for name in left if name in made}}
    assert run_stage(tmp_path, stage).returncode == 0
    assert files(tmp_path) == {**files(given), **made}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_full_disk(
    before_and_after: dict[str, tuple[Path, dict[str, bytes]]], small_disk: Path, stage: str
) -> None:
    given, made = before_and_after[stage]
    shutil.copytree(given, small_disk, dirs_exist_ok=True)
    room = max(map(len, made.values())) // 2
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - room))
    said = run_stage(small_disk, stage)
    free = check_error(said, made, "No space left on device")
    assert free <= room
    filler.unlink()
    left = files(small_disk)
    assert left == {**files(given), **{name: made[name] for name in left if name in made}}
    assert run_stage(small_disk, stage).returncode == 0
    assert files(small_disk) == {**files(given), **made}


def test_dvc_repro_goes_on_when_there_is_room(finished: Clone, clone: Clone) -> None:
    clone.edit("params.yaml", "epochs: 1", "epochs: 2")
    limit = 10**6  # too little for the weights of simple_nn2
    limited = clone.start(
        "dvc",
        "repro",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said = limited.communicate()[0]
    assert limited.returncode == 255
    assert re.search(r"\nerror: models/simple_nn2\S+: File too large: it takes [\d,]+ bytes", said)
    assert "Traceback" not in said
    assert "train@simple_nn2" in clone.repro()
    clone.edit("params.yaml", "epochs: 2", "epochs: 1")
    clone.repro()
    assert outs(clone) == outs(finished)
