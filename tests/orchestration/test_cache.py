"""What the cache of a project holds: bytes by stage, and what DVC's own gc would remove."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mri_stages.commands.cache import format_cache
from mri_stages.orchestration.cache import (
    NO_STAGE,
    CacheContent,
    CacheRow,
    StageObjects,
    list_cache_rows,
)
from mri_stages.orchestration.dvc import read_cache_content
from tests.helpers.dvc_projects import DVC, shell_stage, write_project

# DVC's own code uses it.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")

CONTENT = CacheContent(
    sizes={"a": 1, "b": 20, "c": 300, "d": 4000, "e": 500_000},
    used={"a", "b", "missing"},
    stages={
        "small": StageObjects({"a"}, {"a"}, 1),
        "large": StageObjects({"b", "missing"}, {"a", "b", "c"}, 2),
        "never": StageObjects(set()),
    },
    n_unknown_runs=3,
)


def list_objects() -> set[str]:
    folder = Path(".dvc/cache/files/md5")
    return {f"md5:{path.parent.name}{path.name}" for path in folder.glob("*/*")}


def test_list_cache_rows_largest_first() -> None:
    assert list_cache_rows(CONTENT)[:2] == [
        CacheRow("large", 2, 20, 300),
        CacheRow("small", 1, 1, 0),
    ]


def test_list_cache_rows_of_no_stage() -> None:
    assert list_cache_rows(CONTENT)[2:] == [CacheRow(NO_STAGE, 3, 0, 504_000)]


def test_list_cache_rows_sum_is_the_cache() -> None:
    rows = list_cache_rows(CONTENT)
    assert sum(row.n_bytes for row in rows) == sum(CONTENT.sizes.values())


def test_format_cache_joins_small_stages() -> None:
    lines = format_cache(CONTENT).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["(no", "(2", "total"]
    assert max(map(len, lines)) <= 100


def test_format_cache_empty() -> None:
    assert len(format_cache(CacheContent({}, set())).splitlines()) == 1


def test_read_cache_content_agrees_with_gc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage `folder` ran, and dvc.lock has forgotten it: only its run knows its objects."""
    monkeypatch.chdir(tmp_path)
    write_project(
        file=shell_stage("echo abc > file", "file"),
        folder=shell_stage("mkdir -p folder && echo abcdef > folder/x", "folder", "file"),
    )
    subprocess.run([*DVC, "repro", "--quiet"], check=True)
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    del lock["stages"]["folder"]
    Path("dvc.lock").write_text(yaml.safe_dump(lock))

    content = asyncio.run(read_cache_content())
    assert content.sizes.keys() == list_objects()
    n_listing_and_file_bytes = sum(content.sizes.values()) - len("abc\n")
    assert list_cache_rows(content) == [
        CacheRow("folder", 1, 0, n_listing_and_file_bytes),
        CacheRow("file", 0, len("abc\n"), 0),  # DVC keeps no run of a stage without deps
    ]

    assert content.n_unknown_runs == 0

    subprocess.run([*DVC, "gc", "--quiet", "--workspace", "--force"], check=True)
    assert list_objects() == content.used


def test_read_cache_content_without_the_listing_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a fresh clone, or after a gc by hand: it is no error."""
    monkeypatch.chdir(tmp_path)
    write_project(
        file=shell_stage("echo abc > file", "file"),
        folder=shell_stage("mkdir -p folder && echo abcdef > folder/x", "folder"),
    )
    subprocess.run([*DVC, "repro", "--quiet"], check=True)
    for listing in Path(".dvc/cache/files/md5").glob("*/*.dir"):
        listing.unlink()
    content = asyncio.run(read_cache_content())
    assert content.unlisted_folders == ["folder"]
    assert sum(content.sizes[key] for key in content.used) == len("abc\n")
    assert "folder" in format_cache(content).splitlines()[-1]

    shutil.rmtree(".dvc/cache")
    assert asyncio.run(read_cache_content()).sizes == {}


def test_read_cache_content_counts_runs_of_no_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dep").write_text("abc")
    write_project(
        kept=shell_stage("cp dep kept", "kept", "dep"), old=shell_stage("cp dep old", "old", "dep")
    )
    subprocess.run([*DVC, "repro", "--quiet"], check=True)
    subprocess.run([*DVC, "remove", "--quiet", "old"], check=True)
    content = asyncio.run(read_cache_content())
    assert content.n_unknown_runs == 1
    assert content.stages["kept"].n_runs == 1
