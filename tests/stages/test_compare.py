import json
from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.config.schema import BASELINES
from mri_stages.errors import InputError
from mri_stages.storage.dataset import read_info
from mri_stages.storage.files import write_json
from mri_stages.storage.history import Epoch, write_history
from mri_stages.storage.predictions import Predictions, write_predictions
from mri_stages.storage.records import (
    Difference,
    RobustnessRow,
    read_new_subject_metrics,
    write_robustness,
)
from stages import compare
from tests.helpers.params import REMOVED, change_params

MODELS = ("small", "conv", "conv_again", "conv_hot")
CLASSES = ["a", "b"]
SCORED_BASELINES = ("majority", "nearest_neighbour", "linear")  # the data allow no others
METRICS = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6, "balanced_accuracy": 0.5,
           "macro_f1": 0.5, "auc": 0.5, "diverged": False}  # fmt: skip


def predictions(n_right: int, n_rows: int, *, folds: bool = False) -> Predictions:
    """Return predictions of rows of class a, of which the first are right."""
    p = np.where(np.arange(n_rows)[:, None] < n_right, [[0.9, 0.1]], [[0.2, 0.8]])
    rows, labels = np.arange(n_rows), np.zeros(n_rows, np.int64)
    labels[-2:] = 1
    return Predictions(rows, rows, labels, p.astype(np.float32), rows % 2 if folds else None)


@pytest.fixture
def results(workspace: Path) -> Path:
    """Results of four models; each gets one of 14 rows more right than the one before."""
    write_json(
        paths.INFO,
        {
            "image_shape": [1, 2, 2],
            "classes": CLASSES,
            "counts": {"train": [5, 1], "test": [13, 1]},
        },
    )
    for name in set(BASELINES) - set(SCORED_BASELINES):
        write_json(paths.new_subject_metrics(name), {})
    names = (*MODELS, *SCORED_BASELINES, "a_model_of_old_params")
    for place, name in enumerate(names):
        write_json(paths.metrics(name), METRICS)
        write_json(paths.new_subject_metrics(name), METRICS | {"by": "subject"})
        write_history(paths.history(name), [Epoch(1, place, 1.5, 0.5)])
        write_predictions(paths.predictions(name), predictions(5 + place, 14), CLASSES)
        folds = predictions(3 + place, 20, folds=True)
        write_predictions(paths.folds(name), folds, CLASSES)
    write_robustness("small", [RobustnessRow("unchanged", 0, None, 0.9, 0.8, 0.95, 20)])
    return workspace


def table(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()][1:]


def test_compare_lists_the_histories_of_the_models_of_params(results: Path) -> None:
    compare.main()
    expected = [
        [name, "1", f"{place}.0", "1.5", "0.5", "", ""] for place, name in enumerate(MODELS)
    ]
    assert table(paths.HISTORIES) == expected


def test_compare_lists_each_network_of_an_ensemble(results: Path) -> None:
    rows = [Epoch(1, 2.0, 1.5, 0.5, network=number) for number in range(2)]
    write_history(paths.history("conv"), rows)
    compare.main()
    networks = [(row[0], row[-1]) for row in table(paths.HISTORIES)]
    expected = [("small", ""), ("conv", "0"), ("conv", "1"), ("conv_again", ""), ("conv_hot", "")]
    assert networks == expected


def test_compare_tests_each_pair_of_models(results: Path) -> None:
    compare.main()
    pairs = table(paths.PAIRS)
    assert len(pairs) == 6
    assert pairs[2][:4] == ["small", "conv_hot", "0", "3"]


def test_accuracies_say_where_leakage_and_new_subjects_are_shown(results: Path) -> None:
    note = compare.describe_test_rows(read_info())
    assert "14 test rows" in note
    assert paths.LEAKAGE_FIGURE.name in note
    assert paths.NEW_SUBJECTS_FIGURE.name in note


def test_compare_without_a_model_changes_pictures_of_the_given_split(results: Path) -> None:
    compare.main()
    before = read_pictures()
    change_params(results, {"models.conv_hot": REMOVED})
    compare.main()
    after = read_pictures()
    changed = {name for name, content in before.items() if after[name] != content}
    assert changed == {"accuracy.png", "history.png", "learning_rate.png"}
    assert {row[0] for row in table(paths.HISTORIES)} == set(MODELS[:3])


def read_pictures() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths.PLOTS.glob("*.png")}


def list_rivals() -> list[list[str]]:
    """Return the two models of each row of the differences of AUC."""
    return [row[:2] for row in table(paths.NEW_SUBJECT_PAIRS)]


def compare_new_aucs() -> list[Difference]:
    """Return the differences of AUC, without the pictures."""
    params = read_params()
    return compare.compare_new_aucs(params, read_info(), read_new_subject_metrics(params))


def list_new_rivals() -> list[tuple[str, str]]:
    return [(row.first, row.second) for row in compare_new_aucs()]


def test_compare_tests_each_network_against_each_baseline(results: Path) -> None:
    assert list_new_rivals() == [("small", name) for name in SCORED_BASELINES]


def test_compare_measures_the_difference_of_auc(results: Path) -> None:
    # Of 18 subjects of class a, `small` gives 3 a lower p of b than it gives those of class b.
    # The rest is equal. The baseline at place i does so for 7 + i.
    row = compare_new_aucs()[1]
    place = len(MODELS) + 1
    assert row.difference == pytest.approx((3 - (3 + place)) / 18 / 2)
    assert row.units == 20


def test_compare_without_a_baseline_keeps_the_rest(results: Path) -> None:
    write_json(paths.new_subject_metrics("linear"), {})  # without subject ids
    scored = [name for name in SCORED_BASELINES if name != "linear"]
    assert list_new_rivals() == [("small", name) for name in scored]


def test_compare_on_new_subjects_leaves_out_a_diverged_network(results: Path) -> None:
    metrics = {key: value for key, value in METRICS.items() if key != "auc"}
    diverged = metrics | {"by": "subject", "diverged": True}
    write_json(paths.new_subject_metrics("small"), diverged)
    folds = predictions(3, 20, folds=True)
    folds = folds._replace(probabilities=np.full_like(folds.probabilities, np.nan))
    write_predictions(paths.folds("small"), folds, CLASSES)
    assert list_new_rivals() == []


def test_compare_draws_other_pictures_for_other_new_subjects(results: Path) -> None:
    compare.main()
    before = read_pictures()
    write_predictions(paths.folds("small"), predictions(12, 20, folds=True), CLASSES)
    compare.main()
    after = read_pictures()
    changed = {name for name, content in before.items() if after[name] != content}
    assert changed == {"new_subjects.png", "calibration.png", "decisions.png", "roc.png"}


def test_compare_draws_the_auc_on_changed_images(results: Path) -> None:
    compare.main()
    before = read_pictures()
    write_robustness("small", [RobustnessRow("unchanged", 0, None, 0.7, 0.6, 0.8, 20)])
    compare.main()
    after = read_pictures()
    changed = {name for name, content in before.items() if after[name] != content}
    assert changed == {"robustness.png"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *((paths.metrics("small"), text) for text in ("{}", "no JSON")),
        (paths.metrics("majority"), "{}"),
        *((paths.history("conv"), f"{text}\n") for text in ("epoch,loss\n0,1", "epoch")),
        (paths.predictions("conv"), "row,subject,actual,p_a\n0,,a,1\n"),
        (paths.folds("small"), "row,subject,actual,p_a,p_b,fold,repeat\n0,,c,1,0,0,0\n"),
        (paths.new_subject_metrics("small"), json.dumps(METRICS | {"by": "house"})),
    ],
)
def test_compare_of_a_bad_input_names_it(results: Path, file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(InputError, match=str(file)):
        compare.main()


def remove_results(*models: str) -> None:
    """Remove what `mri-stages repro` removes where the training of a model fails."""
    for name in models:
        for path in (paths.metrics(name), paths.predictions(name)):
            path.unlink()
        paths.history(name).unlink()


def test_compare_leaves_out_a_model_without_metrics(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remove_results("conv")
    compare.main()
    others = {"small", "conv_again", "conv_hot"}
    assert {row[0] for row in table(paths.HISTORIES)} == others
    assert {name for row in table(paths.PAIRS) for name in row[:2]} == others
    assert "conv has no result" in capsys.readouterr().out


def test_compare_draws_the_models_that_have_metrics(results: Path) -> None:
    remove_results("conv_again")
    compare.main()
    pictures = read_pictures()
    for path in paths.PLOTS.glob("*.png"):
        path.unlink()
    change_params(results, {"models.conv_again": REMOVED})
    compare.main()
    assert read_pictures() == pictures


def test_compare_without_any_model_still_draws_the_baselines(results: Path) -> None:
    compare.main()
    before = read_pictures()
    remove_results(*MODELS)
    paths.new_subject_metrics("small").unlink()
    paths.folds("small").unlink()
    paths.new_subject_plot("robustness", "small").unlink()
    compare.main()
    assert table(paths.HISTORIES) == table(paths.PAIRS) == []
    assert list_rivals() == []
    after = read_pictures()
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())


@pytest.mark.parametrize("n_models", [1, 2])
def test_compare_of_a_single_model_or_two(results: Path, n_models: int) -> None:
    remove_results("small", *MODELS[1 + n_models :])  # `small` has a loss of 0
    compare.main()
    assert len(table(paths.PAIRS)) == n_models - 1
    assert len(read_pictures()) == 8


def test_compare_without_a_cross_validation_keeps_the_given_split(results: Path) -> None:
    paths.new_subject_metrics("small").unlink()
    compare.main()
    assert len(table(paths.PAIRS)) == 6
    assert list_rivals() == []


def test_compare_without_folds_has_no_pairs_of_new_subjects(results: Path) -> None:
    for name in ("small", *BASELINES):
        write_json(paths.new_subject_metrics(name), {})
    compare.main()
    assert table(paths.NEW_SUBJECT_PAIRS) == []
    assert paths.NEW_SUBJECTS_FIGURE.exists()
    assert len(table(paths.PAIRS)) == 6
