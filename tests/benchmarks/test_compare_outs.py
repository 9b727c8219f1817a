"""Two checkouts are compared by the hashes in their lock files."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.project import REPO


def write_lock(checkout: Path, hashes: dict[str, str]) -> Path:
    outs = [{"path": path, "md5": md5} for path, md5 in hashes.items()]
    checkout.mkdir()
    (checkout / "dvc.lock").write_text(yaml.safe_dump({"stages": {"train": {"outs": outs}}}))
    return checkout


def compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.compare_outs", *map(str, arguments)],
        cwd=REPO,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_lock(tmp_path / "old", {"models/a": "1", "plots/b.png": "2", "gone": "3"})


def test_compare_outs_of_equal_results(old: Path, tmp_path: Path) -> None:
    new = write_lock(tmp_path / "new", {"models/a": "1", "plots/b.png": "2"})
    done = compare(old, new)
    assert done.returncode == 0
    assert "2 of 2" in done.stdout
    assert "gone" in done.stdout


def test_compare_outs_names_a_difference(old: Path, tmp_path: Path) -> None:
    new = write_lock(tmp_path / "new", {"models/a": "1", "plots/b.png": "9"})
    done = compare(old, new)
    assert done.returncode == 1
    assert "plots/b.png" in done.stdout
    assert "models/a" not in done.stdout


def test_compare_outs_allows_named_differences(old: Path, tmp_path: Path) -> None:
    new = write_lock(tmp_path / "new", {"models/a": "1", "plots/b.png": "9"})
    assert compare(old, new, "--may-differ", "plots/*").returncode == 0
    assert compare(old, new, "--may-differ", "plots").returncode == 1


def test_compare_outs_needs_results(old: Path, tmp_path: Path) -> None:
    done = compare(old, tmp_path)
    assert done.returncode == 1
    assert "make run" in done.stderr
