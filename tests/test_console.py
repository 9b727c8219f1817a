"""How a command ends: its exit status and its one line."""

import errno
import subprocess
import sys
from collections.abc import Callable

import pytest

from mri_stages.console import (
    OneLineParser,
    align_columns,
    format_count,
    list_some,
    make_printable,
    parse_model_argument,
    run_command,
)
from mri_stages.errors import ArgumentError, InputError
from tests.helpers.stages import make_environment


def fail(error: BaseException) -> Callable[[], None]:
    """Return a command that raises the error."""

    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("params.yaml: wrong"), 1),
        (OSError(errno.ENOSPC, "No space left on device"), 1),
        (ArgumentError("train: no such model"), 2),
        (MemoryError("Unable to allocate 4 GiB"), 75),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 75),
        (RuntimeError("CUDA out of memory"), 75),
        (KeyboardInterrupt(), 130),
    ],
)
def test_run_command_ends_with_a_status(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_command(fail(error))
    assert caught.value.code == status
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1


def test_run_command_of_a_fault_shows_it() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        run_command(fail(RuntimeError("shape mismatch")))


def test_run_command_that_works_returns() -> None:
    run_command(lambda: None)


@pytest.mark.parametrize("n_lines", [1, 100_000])
def test_run_command_whose_reader_is_gone_is_silent(n_lines: int) -> None:
    """Few lines stay in Python's buffer until the end, many do not."""
    code = (
        "from mri_stages.console import run_command\n"
        "def main():\n"
        "    input()\n"
        f"    for line in range({n_lines}): print(line)\n"
        "run_command(main)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=make_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"now\n")
    assert errors == b""
    assert process.returncode == 141


def test_parser_of_an_unknown_option_raises() -> None:
    with pytest.raises(ArgumentError, match="--wrong"):
        OneLineParser(prog="test").parse_args(["--wrong"])


def test_parse_model_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train", "small"])
    assert parse_model_argument("train", ["small", "large"]) == "small"


def test_parse_model_argument_of_an_unknown_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train", "smal"])
    with pytest.raises(ArgumentError, match=r"'smal'.*small, large"):
        parse_model_argument("train", ["small", "large"])


def test_make_printable_escapes_a_terminal_sequence() -> None:
    assert make_printable("a\x1b[2J\n  b é") == "a\\x1b[2J b é"


def test_list_some_counts_the_rest() -> None:
    assert list_some(str(number) for number in range(9)) == "0, 1, 2, 3, 4, 5 and 3 more"


def test_list_some_lists_all_where_they_fit() -> None:
    assert list_some("abcdef") == "a, b, c, d, e, f"


def test_format_count_of_one_and_of_several() -> None:
    counts = [format_count(count, "row") for count in (0, 1, 2, 2000)]
    assert counts == ["0 rows", "1 row", "2 rows", "2,000 rows"]


def test_align_columns_puts_numbers_to_the_right() -> None:
    rows = [["name", "n", "note"], ["a", "10", "b"], ["last"]]
    assert align_columns(rows, right_columns=[1]) == ["name   n  note", "a     10  b", "last"]
