"""params.yaml lies in the layout that DVC writes: an experiment changes the lines of its params."""

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from mri_stages.config.upgrade import upgrade_text
from tests.helpers.project import REPO
from tests.helpers.reference import require_reference


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of params.yaml; skip where it is not the one that ships."""
    require_reference()
    return Path(shutil.copy(REPO / "params.yaml", tmp_path))


@pytest.mark.parametrize(
    ("override", "old_line", "new_line"),
    [
        ("models.simple_nn2.lr=0.003", "    lr: 0.01", "    lr: 0.003"),
        ("export.model=resnet", "  model: simple_nn2 ", "  model: resnet "),
        ("train.patience=3", "  patience: ", "  patience: 3 "),
        ("models.resnet.augment.shift=1", "    augment: {shift: 2", "    augment: {shift: 1"),
    ],
)
def test_experiment_changes_one_line(
    copy: Path, override: str, old_line: str, new_line: str
) -> None:
    old_lines = copy.read_text().splitlines()
    apply_overrides(copy, [override])
    new_lines = copy.read_text().splitlines()

    assert len(new_lines) == len(old_lines)
    changes = [pair for pair in zip(old_lines, new_lines, strict=True) if pair[0] != pair[1]]
    ((old, new),) = changes
    assert old.startswith(old_line)
    assert new.startswith(new_line)


def test_experiment_of_no_change_leaves_the_bytes(copy: Path) -> None:
    text = copy.read_bytes()
    seed = yaml.safe_load(text)["train"]["seed"]
    apply_overrides(copy, [f"train.seed={seed}"])
    assert copy.read_bytes() == text


def test_upgrade_leaves_the_bytes(copy: Path) -> None:
    assert upgrade_text(copy.read_text()) == copy.read_text()


def test_upgrade_writes_the_layout_of_dvc(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("studies:\n  seed:\n    seeds: [0, 1]  # many\ntrain: {seed: 0, epochs: 2}\n")
    path.write_text(upgrade_text(path.read_text()))
    text = path.read_text()
    assert "# many" in text
    apply_overrides(path, ["train.seed=0"])
    assert path.read_text() == text
