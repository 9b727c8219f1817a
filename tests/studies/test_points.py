from pathlib import Path

import pytest

from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.studies.points import (
    LrRule,
    StudyName,
    StudyPoint,
    list_points,
    list_seeds,
    name_values_key,
)
from tests.helpers.params import apply_changes, default_params

PARAMS = Params.model_validate(
    apply_changes(
        default_params(),
        {
            "models.small.validation": 0.2,
            "models.small.patience": 1,
            "models.small.lr": 0.02,
            "models.small.batch_size": 5,
            "studies.seed.seeds": [7],
            "studies.learning_rate.values": [1e-8, 0.5, 10],
            "studies.learning_rate.seeds": [8, 9],
            "studies.batch_size.values": [4, "all"],
            "studies.batch_size.seeds": [10],
        },
    )
)
RATE = StudyPoint(StudyName.LEARNING_RATE, 0.5)
FIXED_4 = StudyPoint(StudyName.BATCH_SIZE, 4)
LINEAR_4 = StudyPoint(StudyName.BATCH_SIZE, 4, LrRule.LINEAR)
LINEAR_ALL = StudyPoint(StudyName.BATCH_SIZE, "all", LrRule.LINEAR)


@pytest.mark.parametrize(
    ("point", "path"),
    [
        (StudyPoint(StudyName.SEED, "conv"), "seed/conv"),
        (StudyPoint(StudyName.LEARNING_RATE, 1e-8), "learning_rate/1e-08"),
        (StudyPoint(StudyName.LEARNING_RATE, 10), "learning_rate/10"),
        (FIXED_4, "batch_size/fixed-4"),
        (LINEAR_ALL, "batch_size/linear-all"),
    ],
)
def test_path_is_named_as_dvc_names_the_value(point: StudyPoint, path: str) -> None:
    assert point.path == Path(f"studies/runs/{path}.csv")


@pytest.mark.parametrize(
    ("point", "model"),
    [(StudyPoint(StudyName.SEED, "conv"), "conv"), (RATE, "small"), (FIXED_4, "small")],
)
def test_model_name_is_that_of_the_study(point: StudyPoint, model: str) -> None:
    assert point.get_model_name(PARAMS) == model


@pytest.mark.parametrize(
    ("point", "lr", "batch_size"),
    [
        (StudyPoint(StudyName.SEED, "small"), 0.02, 5),
        (RATE, 0.5, 5),
        (FIXED_4, 0.02, 4),
        (LINEAR_4, 0.02 * 4 / 5, 4),
        (StudyPoint(StudyName.BATCH_SIZE, "all"), 0.02, 20),
        (LINEAR_ALL, 0.02 * 20 / 5, 20),
    ],
)
def test_recipe_has_lr_and_batch_size(point: StudyPoint, lr: float, batch_size: int) -> None:
    recipe = point.build_recipe(PARAMS, n_rows=20)
    assert recipe.lr == pytest.approx(lr)
    assert recipe.batch_size == batch_size


def test_recipe_trains_on_all_rows_to_the_end() -> None:
    recipe = RATE.build_recipe(PARAMS, n_rows=20)
    assert (recipe.validation, recipe.patience) == (0, None)


def test_recipe_trains_one_network() -> None:
    params = apply_changes(default_params(), {"models.small.ensemble": 3})
    recipe = RATE.build_recipe(Params.model_validate(params), n_rows=20)
    assert recipe.ensemble == 1


def test_recipe_keeps_the_other_keys_of_the_model() -> None:
    recipe = StudyPoint(StudyName.SEED, "conv").build_recipe(PARAMS, n_rows=20)
    assert recipe.arch == "conv_nn2"
    assert recipe.epochs == PARAMS.models["conv"].epochs


def test_recipe_cuts_the_models_own_batch_to_the_rows() -> None:
    assert RATE.build_recipe(PARAMS, n_rows=3).batch_size == 3


def test_recipe_takes_a_batch_of_all_rows_by_number() -> None:
    assert FIXED_4.build_recipe(PARAMS, n_rows=4).batch_size == 4


def test_recipe_of_a_batch_above_the_rows_fails() -> None:
    with pytest.raises(InputError, match=r"studies\.batch_size\.values"):
        FIXED_4.build_recipe(PARAMS, n_rows=3)


def test_list_points_of_a_rule_has_every_size() -> None:
    points = list_points(PARAMS, StudyName.BATCH_SIZE, LrRule.LINEAR)
    assert points == [LINEAR_4, LINEAR_ALL]


def test_list_points_of_seeds_are_models() -> None:
    assert list_points(PARAMS, StudyName.SEED) == [StudyPoint(StudyName.SEED, "conv")]


def test_list_points_of_rates_keeps_their_order() -> None:
    values = [point.value for point in list_points(PARAMS, StudyName.LEARNING_RATE)]
    assert values == [1e-8, 0.5, 10]


def test_list_seeds_is_of_the_study() -> None:
    assert [list_seeds(PARAMS, study) for study in StudyName] == [[7], [8, 9], [10]]


def test_values_key_is_one_of_params_yaml() -> None:
    for study in StudyName:
        value: object = PARAMS
        for name in name_values_key(study).split("."):
            value = getattr(value, name)
        assert value == [point.value for point in list_points(PARAMS, study)]
