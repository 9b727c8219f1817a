import errno
import os
import subprocess
import sys
from math import isnan
from pathlib import Path

import pytest
from pydantic import BaseModel

from mri_stages.errors import InputError
from mri_stages.storage.files import (
    check_new_file,
    read_csv,
    read_json,
    write_atomically,
    write_bytes,
    write_csv,
    write_json,
)
from tests.helpers.stages import make_environment


def test_replacing_leaves_the_old_file_after_an_error_and_the_cache(tmp_path: Path) -> None:
    cached, out = tmp_path / "cached", tmp_path / "out"
    cached.write_bytes(b"old")
    cached.chmod(0o444)
    out.hardlink_to(cached)
    with pytest.raises(UnicodeEncodeError), write_atomically(out) as partial:
        partial.write_text("half \udcff", encoding="utf-8")
    assert out.read_bytes() == b"old"
    write_bytes(out, b"new")
    assert (cached.read_bytes(), out.read_bytes()) == (b"old", b"new")
    assert sorted(tmp_path.iterdir()) == [cached, out]


def test_replacing_a_folder_replaces_all_of_it(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with write_atomically(tmp_path / "parent/out") as partial:
            partial.mkdir()
            (partial / name).touch()
    found = [path.relative_to(tmp_path / "parent") for path in tmp_path.glob("parent/**/*")]
    assert found == [Path("out"), Path("out/second")]


def test_replacing_removes_the_partials_of_dead_processes_only(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = [f"out.{name}.partial" for name in (os.getpid(), ended.pid, f"{ended.pid}.old")]
    others = [f"out.{os.getppid()}.partial", "out.mine.partial", "a.1.partial"]
    for name in dead + others:
        (tmp_path / name).mkdir()
    write_bytes(tmp_path / "out", b"")
    assert {path.name for path in tmp_path.iterdir()} == {"out", *others}


class Row(BaseModel):
    a: int
    loss: float


def test_write_csv_and_write_json_are_read_back_exactly(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["a", "loss"], [(0, 0.1 + 0.2), (1, float("nan"))])
    first, second = read_csv(tmp_path / "a.csv", Row)
    assert (first.a, first.loss, second.a, isnan(second.loss)) == (0, 0.1 + 0.2, 1, True)
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()
    write_json(tmp_path / "a.json", {"a": 3, "loss": 0.5})
    assert read_json(tmp_path / "a.json", Row) == Row(a=3, loss=0.5)
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"loss": float("nan")})
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [*(("a.csv", text) for text in (None, "a,loss\n", "a,loss\n1\n", "a,loss\n1,2,3\n")),
     *(("a.json", text) for text in (None, "{", '{"a": 1, "loss": "x"}'))],
)  # fmt: skip
def test_reading_other_content_names_the_file(tmp_path: Path, file: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=file):
        (read_json if file == "a.json" else read_csv)(tmp_path / file, Row)


WRITE_TOO_MUCH = """
import resource, signal, sys
from pathlib import Path
from mri_stages.console import run_command
from mri_stages.storage.files import write_bytes

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
run_command(lambda: write_bytes(Path("out"), b"0" * 2000))
"""


def test_write_beyond_ulimit_names_the_file_and_the_limit(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    process = subprocess.run(
        [sys.executable, "-c", WRITE_TOO_MUCH],
        cwd=tmp_path,
        env=make_environment(),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("error: out: ")
    assert "2,000 bytes" in process.stderr
    assert "ulimit -f" in process.stderr
    assert list(tmp_path.iterdir()) == []


def fail_half_way(out: Path, number: int, is_hidden: bool = False) -> None:
    """Begin to replace a file until an error of the system, which PyTorch hides in its own."""
    with write_atomically(out, 2000) as partial:
        partial.write_bytes(b"half")
        try:
            raise OSError(number, os.strerror(number))
        except OSError:
            if is_hidden:
                raise RuntimeError from None
            raise


@pytest.mark.parametrize("is_hidden", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_write_without_room_names_the_file_and_keeps_the_old_one(
    tmp_path: Path, number: int, is_hidden: bool
) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    with pytest.raises(InputError, match=r"/out: .* 2,000 bytes, [\d,]+ are free"):
        fail_half_way(out, number, is_hidden)
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"old", [out])


def test_write_with_another_error_raises_it_and_keeps_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    with pytest.raises(PermissionError):
        fail_half_way(out, errno.EACCES)
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"old", [out])


@pytest.mark.parametrize("name", ["new", "old", "folder/new", "missing/new"])
def test_check_new_file_takes_a_place_for_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "folder").mkdir()
    check_new_file(tmp_path / name, "--out")


@pytest.mark.parametrize("name", ["folder", "old/new", "old/missing/new"])
def test_check_new_file_names_the_option(tmp_path: Path, name: str) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="--out"):
        check_new_file(tmp_path / name, "--out")


def test_check_new_file_takes_no_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"--out .*pipe"):
        check_new_file(pipe, "--out")
