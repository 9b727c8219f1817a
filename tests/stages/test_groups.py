from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.config.schema import BASELINES
from mri_stages.errors import InputError
from mri_stages.reporting.groups import describe_groups
from mri_stages.storage.files import write_json
from mri_stages.storage.groups import GroupResult, read_groups
from mri_stages.storage.predictions import Predictions, write_predictions
from stages import groups
from tests.helpers.params import change_params

CLASSES = ["Sane", "Ill"]
SUBJECTS = np.arange(40)
METRICS = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6, "balanced_accuracy": 0.5,
           "macro_f1": 0.5, "by": "subject"}  # fmt: skip


@pytest.fixture(autouse=True)
def results(workspace: Path) -> None:
    """Predictions of a network, of the best baseline, and of a worse one."""
    info = {"image_shape": [1, 2, 2], "classes": CLASSES, "counts": {}}
    write_json(paths.INFO, info)
    rng = np.random.default_rng(0)
    p = rng.random(40)
    labels = (p + 0.3 * rng.normal(size=40) > 0.5).astype(np.int64)
    probabilities = np.stack([1 - p, p], axis=1).astype(np.float32)
    predictions = Predictions(SUBJECTS, SUBJECTS, labels, probabilities, SUBJECTS % 2)
    for name in BASELINES:
        write_json(paths.new_subject_metrics(name), {})
    for name, auc in (("small", 0.6), ("majority", 0.5), ("nearest_neighbour", 0.55)):
        write_json(paths.new_subject_metrics(name), {**METRICS, "auc": auc})
        write_predictions(paths.folds(name), predictions, CLASSES)
    lines = ["subject,sex,age,site,name,spelling"]
    for subject in SUBJECTS:
        sex = "F" if subject % 2 else ("" if subject < 10 else "M")
        spelling = "North" if subject % 3 else "north"
        lines.append(f"{subject},{sex},{50 + subject},Bern,s{subject},{spelling}")
    paths.DETAILS.mkdir()
    paths.SUBJECT_TABLE.write_text("\n".join(lines) + "\n")


def score(*columns: str) -> list[GroupResult]:
    change_params(Path(), {"evaluation.groups": list(columns)})
    groups.main()
    return read_groups()


def test_groups_are_of_the_networks_and_of_the_best_baseline() -> None:
    rows = score("sex")
    assert [(row.model, row.group) for row in rows[::3]] == [
        ("small", "F"),
        ("nearest_neighbour", "F"),
    ]
    assert [row.group for row in rows[:3]] == ["F", "M", "unknown"]
    assert [row.subjects for row in rows[:3]] == [20, 15, 5]


def test_groups_of_a_vote_have_no_calibration() -> None:
    rows = score("sex")
    assert rows[0].calibration_intercept is not None
    assert rows[3].calibration_intercept is None


def test_groups_of_no_column_write_a_header() -> None:
    groups.main()
    assert len(paths.GROUPS.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("column", "named"),
    [
        ("Sex", "'Sex'"),
        ("site", "site is Bern"),
        ("age", "age has 40 different values"),
        ("spelling", "'North' and 'north'"),
    ],
)
def test_groups_of_a_column_that_divides_nobody_are_refused(column: str, named: str) -> None:
    with pytest.raises(InputError, match=rf"evaluation\.groups: .*{named}"):
        score(column)
    assert not paths.GROUPS.exists()


def test_groups_are_described_with_their_number() -> None:
    (looks, small) = describe_groups(score("sex"))
    assert "looked at: 3, in 2 models" in looks
    assert "4 comparisons" in looks
    assert "sex unknown" in small


def test_group_that_differs_is_named() -> None:
    row = GroupResult("small", "sex", "F", 20, 10, 0.5, difference=-0.25, difference_low=-0.5,
                      difference_high=-0.125, p=0.01)  # fmt: skip
    (sentence,) = describe_groups([row, row._replace(group="M", p=0.5)])
    assert "small for sex F by -0.250 (-0.500 to -0.125), p = 0.010" in sentence
    assert "sex M" not in sentence
