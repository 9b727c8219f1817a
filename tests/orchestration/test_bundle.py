"""The workspace as a commit of Git that a worker can fetch."""

import subprocess
from pathlib import Path

import pytest

from mri_stages.errors import InputError
from mri_stages.orchestration.bundle import hash_workspace, pack_workspace
from mri_stages.orchestration.worker import REF


def git(*arguments: str, folder: Path = Path()) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def unpack(bundle: bytes, folder: Path) -> dict[str, str]:
    """Return the files of a bundle, as a worker gets them."""
    folder.mkdir()
    (folder / "bundle").write_bytes(bundle)
    git("init", "--quiet", "clone", folder=folder)
    git("fetch", "--quiet", "../bundle", REF, folder=folder / "clone")
    git("checkout", "--quiet", "FETCH_HEAD", folder=folder / "clone")
    files = git("ls-files", folder=folder / "clone").splitlines()
    return {file: (folder / "clone" / file).read_text() for file in files}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a committed, a changed, a new and an ignored file."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "--quiet")
    Path("code.py").write_text("old")
    Path(".gitignore").write_text("ignored\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "code")
    Path("code.py").write_text("new")
    Path("more.py").write_text("more")
    Path("ignored").write_text("secret")
    return folder


def test_bundle_holds_what_is_not_ignored(project: Path, tmp_path: Path) -> None:
    files = unpack(pack_workspace().bundle, tmp_path / "worker")
    assert files == {".gitignore": "ignored\n", "code.py": "new", "more.py": "more"}


def test_bundle_leaves_the_index_alone(project: Path) -> None:
    before = git("status", "--porcelain")
    pack_workspace()
    assert git("status", "--porcelain") == before
    assert git("for-each-ref", "refs/mri-stages") == ""


def test_bundle_of_a_folder_of_a_larger_repository(project: Path, tmp_path: Path) -> None:
    (project / "ml/mri").mkdir(parents=True)
    (project / "ml/mri/train.py").write_text("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project / "ml/mri")
        workspace = pack_workspace()
        assert hash_workspace() == workspace.tree
    assert unpack(workspace.bundle, tmp_path / "worker") == {"train.py": "train"}


def test_tree_of_the_same_files_is_equal(project: Path) -> None:
    tree = pack_workspace().tree
    Path("ignored").write_text("other")
    git("add", "more.py")
    git("gc", "--quiet")
    assert hash_workspace() == tree


def test_tree_of_changed_files_differs(project: Path) -> None:
    tree = pack_workspace().tree
    Path("more.py").write_text("changed")
    assert hash_workspace() != tree


def test_bundle_needs_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="git"):
        pack_workspace()
