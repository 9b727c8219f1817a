"""The reference is recognised by its params as data and by the bytes of its results."""

import shutil
from pathlib import Path

import pytest

from tests.helpers import reference
from tests.helpers.params import REMOVED, change_params, save_params
from tests.helpers.reference import describe_difference, require_reference

LAYOUT = "models: {small: {lr: 1e-1}}\ntrain: {epochs: 2}  # the same values\n"
RESULT = "metrics/model.json"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with one result; it is the reference."""
    monkeypatch.setattr(reference, "RECORD", tmp_path / "reference.json")
    save_params(tmp_path, {"train": {"epochs": 2}, "models": {"small": {"lr": 0.1}}})
    (tmp_path / RESULT).parent.mkdir()
    (tmp_path / RESULT).write_text("{}\n")
    reference.write_record(tmp_path)
    return tmp_path


def test_reference_is_recognised(checkout: Path) -> None:
    assert describe_difference(checkout) == ""


def test_reference_may_have_another_layout(checkout: Path) -> None:
    (checkout / "params.yaml").write_text(LAYOUT)
    assert describe_difference(checkout) == ""


def test_difference_names_a_changed_param(checkout: Path) -> None:
    change_params(checkout, {"train.epochs": 3})
    assert "train.epochs" in describe_difference(checkout)


def test_difference_names_an_added_param(checkout: Path) -> None:
    change_params(checkout, {"models.mine": {"lr": 0.1}})
    assert "models.mine.lr" in describe_difference(checkout)


def test_difference_names_a_removed_param(checkout: Path) -> None:
    change_params(checkout, {"train.epochs": REMOVED})
    assert "train.epochs" in describe_difference(checkout)


def test_difference_names_a_changed_result(checkout: Path) -> None:
    (checkout / RESULT).write_text("{ }\n")
    assert RESULT in describe_difference(checkout)


def test_difference_names_a_missing_result(checkout: Path) -> None:
    shutil.rmtree(checkout / "metrics")
    assert RESULT in describe_difference(checkout)


def test_other_checkouts_are_skipped(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MRI_STAGES_REFERENCE", raising=False)
    change_params(checkout, {"train.epochs": 3})
    with pytest.raises(pytest.skip.Exception, match=r"train\.epochs"):
        require_reference(checkout)


def test_skip_is_a_failure_where_asked(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRI_STAGES_REFERENCE", "1")
    change_params(checkout, {"train.epochs": 3})
    with pytest.raises(pytest.fail.Exception, match=r"train\.epochs"):
        require_reference(checkout)
