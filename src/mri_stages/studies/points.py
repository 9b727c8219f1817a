"""The values of the studies of seeds, learning rates and batch sizes.

A point is one value: one stage of studies/dvc.yaml trains it with every seed of its study.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mri_stages import paths
from mri_stages.config.schema import Model, Params, Seed
from mri_stages.errors import InputError

ALL_ROWS = "all"  # the batch size of one step per epoch


class StudyName(StrEnum):
    """A study of which each run is a `Run`; its name is also its key in params.yaml."""

    SEED = "seed"
    LEARNING_RATE = "learning_rate"
    BATCH_SIZE = "batch_size"


class LrRule(StrEnum):
    """The learning rate of another batch size."""

    FIXED = "fixed"  # the model's own
    LINEAR = "linear"  # in proportion to the batch: Goyal et al. 2017, arXiv:1706.02677, no warm-up


@dataclass(frozen=True)
class StudyPoint:
    """One value of one study."""

    study: StudyName
    value: str | float  # a model, a learning rate, or rows per step (`all`: of every row)
    lr_rule: LrRule = LrRule.FIXED  # only of a batch size can it be another

    @property
    def path(self) -> Path:
        """Return the file of its runs, named as DVC writes the value into a stage's name."""
        if self.study is StudyName.BATCH_SIZE:
            return paths.study_runs(self.study, f"{self.lr_rule}-{self.value}")
        return paths.study_runs(self.study, str(self.value))

    def get_model_name(self, params: Params) -> str:
        match self.study:
            case StudyName.SEED:
                return str(self.value)
            case StudyName.LEARNING_RATE:
                return params.studies.learning_rate.model
            case StudyName.BATCH_SIZE:
                return params.studies.batch_size.model

    def build_recipe(self, params: Params, n_rows: int) -> Model:
        """Return the model to train on `n_rows` rows: one network, with the last epoch's weights.

        InputError for a batch size above `n_rows`.
        """
        model = params.models[self.get_model_name(params)]
        lr = model.lr
        batch_size = min(model.batch_size, n_rows)

        if self.study is StudyName.LEARNING_RATE:
            lr = float(self.value)
        elif self.study is StudyName.BATCH_SIZE:
            batch_size = n_rows if self.value == ALL_ROWS else int(self.value)
            if batch_size > n_rows:
                raise InputError(
                    f"params.yaml: studies.batch_size.values: {batch_size}, expected up to "
                    f"{n_rows}, or {ALL_ROWS}"
                )
            if self.lr_rule is LrRule.LINEAR:
                lr *= batch_size / model.batch_size

        changes = {
            "lr": lr,
            "batch_size": batch_size,
            "validation": 0,
            "patience": None,
            "ensemble": 1,
        }
        return model.model_copy(update=changes)


def list_points(
    params: Params, study: StudyName, lr_rule: LrRule = LrRule.FIXED
) -> list[StudyPoint]:
    """Return the points of a study in the order of params.yaml."""
    return [StudyPoint(study, value, lr_rule) for value in _list_values(params, study)]


def list_seeds(params: Params, study: StudyName) -> list[Seed]:
    """Return the seeds that train every value of a study."""
    match study:
        case StudyName.SEED:
            return params.studies.seed.seeds
        case StudyName.LEARNING_RATE:
            return params.studies.learning_rate.seeds
        case StudyName.BATCH_SIZE:
            return params.studies.batch_size.seeds


def name_values_key(study: StudyName) -> str:
    """Return the key of params.yaml that lists the values of a study."""
    return "studies.seed.models" if study is StudyName.SEED else f"studies.{study}.values"


def _list_values(params: Params, study: StudyName) -> list[str | float]:
    match study:
        case StudyName.SEED:
            return [*params.studies.seed.models]
        case StudyName.LEARNING_RATE:
            return [*params.studies.learning_rate.values]
        case StudyName.BATCH_SIZE:
            return [*params.studies.batch_size.values]
