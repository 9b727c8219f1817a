"""Which experiments a sweep asks for, and which sweeps are refused."""

from typing import Any

import pytest

from mri_stages.config.sweep import ScoreKind, plan_sweep
from mri_stages.errors import ArgumentError, InputError
from tests.helpers.params import apply_changes, default_params

VALIDATED = {"models.small.validation": 0.2}
INNER = {"cross_validation.inner_folds": 2}


def make_values(**changes: Any) -> Any:
    return apply_changes(default_params(), changes)


def test_sweep_has_each_value_with_each_seed() -> None:
    sweep = plan_sweep("models.small.lr=0.1,1e-8", 2, make_values(**VALIDATED))
    assert [(trial.value, trial.seed) for trial in sweep.trials] == [
        (0.1, 3),
        (0.1, 4),
        (1e-8, 3),
        (1e-8, 4),
    ]
    assert sweep.stage == "train@small"


def test_sweep_leaves_the_first_seed_unwritten() -> None:
    values = make_values(**VALIDATED)
    sweep = plan_sweep("models.small.lr=0.1,0.2", 2, values)
    assert sweep.trials[0].changes == {"models.small.lr": 0.1}
    assert sweep.trials[3].changes == {"models.small.lr": 0.2, "models.small.seed": 4}
    changed_values = apply_changes(values, sweep.trials[3].changes)
    assert sweep.trials[3].params == changed_values


def test_sweep_of_an_ensemble_shares_no_seed() -> None:
    values = make_values(**VALIDATED, **{"models.small.ensemble": 5})
    sweep = plan_sweep("models.small.lr=0.1,0.2", 2, values)
    assert [trial.seed for trial in sweep.trials[:2]] == [3, 8]


def test_sweep_of_the_size_of_an_ensemble_has_equal_seeds() -> None:
    sweep = plan_sweep("models.small.ensemble=1,4", 2, make_values(**INNER))
    assert [trial.seed for trial in sweep.trials] == [3, 7, 3, 7]


def test_sweep_takes_groups_and_nothing() -> None:
    setting = "models.small.augment={shift: 1, flip: true},null"
    sweep = plan_sweep(setting, 1, make_values(**VALIDATED))
    assert [trial.value for trial in sweep.trials] == [{"shift": 1, "flip": True}, None]


def test_sweep_takes_a_key_of_a_group_of_the_model() -> None:
    values = make_values(**VALIDATED, **{"models.small.augment": {"shift": 1}})
    sweep = plan_sweep("models.small.augment.shift=2,3", 1, values)
    assert sweep.trials[1].params["models"]["small"]["augment"] == {"shift": 3}


def test_sweep_compares_the_inner_score_where_there_is_one() -> None:
    sweep = plan_sweep("models.small.lr=0.1,0.2", 1, make_values(**VALIDATED, **INNER))
    assert sweep.score_kind is ScoreKind.INNER_AUC
    assert sweep.stage == "cross_validate@small"


def test_sweep_of_a_model_without_folds_compares_validation() -> None:
    values = make_values(**INNER, **{"models.conv.validation": 0.2})
    sweep = plan_sweep("models.conv.lr=0.1,0.2", 1, values)
    assert sweep.score_kind is ScoreKind.VALIDATION_LOSS


def test_sweep_without_a_score_names_both_params() -> None:
    with pytest.raises(InputError) as caught:
        plan_sweep("models.small.lr=0.1,0.2", 1, default_params())
    assert "train.validation" in str(caught.value)
    assert "cross_validation.inner_folds" in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        "models.small.lr",  # no values
        "train.lr=0.1,0.2",  # no model
        "models.small=0.1,0.2",  # no key
        "models..lr=0.1,0.2",
        "models.nobody.lr=0.1,0.2",
        "models.small.lrr=0.1,0.2",
        "models.small.augment.shift=1,2",  # the model has no such group
        "models.small.lr=0.1",  # one value
        "models.small.lr=",
        "models.small.lr=0.1,1.0e-1",  # equal values
        "models.small.lr=0.1,-1",  # the schema refuses it
        "models.small.lr=0.1],[0.2",  # not YAML
        "models.small.seed=1,2",
        "models.small.validation=0.1,0.2",
        "models.small.ensemble=1,2",
        "models.small.label_smoothing=0,0.1",
    ],
)
def test_sweep_refuses_a_wrong_setting(setting: str) -> None:
    with pytest.raises(ArgumentError):
        plan_sweep(setting, 1, make_values(**VALIDATED))


ARCHITECTURES = "models.small.arch=simple_nn1,simple_nn2"


@pytest.mark.parametrize("changes", [VALIDATED, INNER])
def test_sweep_of_the_architecture_of_folds_names_the_key_to_remove(changes: Any) -> None:
    with pytest.raises(ArgumentError, match=r"remove cross_validation\.models\.small"):
        plan_sweep(ARCHITECTURES, 1, make_values(**changes))


def test_sweep_of_the_architecture_without_folds() -> None:
    values = make_values(**VALIDATED, **{"cross_validation.models": {}})
    sweep = plan_sweep(ARCHITECTURES, 1, values)
    assert [trial.value for trial in sweep.trials] == ["simple_nn1", "simple_nn2"]


@pytest.mark.parametrize("n_seeds", [0, -1, 101])
def test_sweep_refuses_a_wrong_number_of_seeds(n_seeds: int) -> None:
    with pytest.raises(ArgumentError):
        plan_sweep("models.small.lr=0.1,0.2", n_seeds, make_values(**VALIDATED))


def test_sweep_refuses_a_seed_that_is_too_large() -> None:
    values = make_values(**VALIDATED, **{"models.small.seed": 2**32 - 1})
    with pytest.raises(ArgumentError):
        plan_sweep("models.small.lr=0.1,0.2", 2, values)


def test_inner_score_compares_what_changes_the_validation_loss() -> None:
    sweep = plan_sweep("models.small.label_smoothing=0,0.1", 1, make_values(**INNER))
    assert len(sweep.trials) == 2
