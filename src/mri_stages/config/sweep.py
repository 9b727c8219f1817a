"""A sweep: one key of a model with several values, and each value with several seeds.

Every experiment is known, and accepted by the schema, before the first one is queued.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from mri_stages import paths
from mri_stages.config.loading import check_values, parse_yaml
from mri_stages.config.param_changes import format_param
from mri_stages.config.schema import Model, Params, check_distinct
from mri_stages.errors import ArgumentError, InputError

EXAMPLE = "models.resnet.lr=0.001,0.003"
MAX_SEEDS = 100

# They decide what the validation loss is, or of what: two of its values cannot be compared.
KEYS_OF_VALIDATION_LOSS = ("loss", "label_smoothing", "class_weights", "validation", "ensemble")


class ScoreKind(Enum):
    """What is compared; the value is its name in the table."""

    VALIDATION_LOSS = "validation loss"
    INNER_AUC = "inner AUC"

    @property
    def is_better_low(self) -> bool:
        return self is ScoreKind.VALIDATION_LOSS


@dataclass(frozen=True)
class Trial:
    """One experiment of a sweep."""

    value: Any
    seed: int
    changes: dict[str, Any]
    """Dotted keys of params.yaml with their new values."""
    params: Any
    """All values of params.yaml, as the experiment has to have them."""

    @property
    def shown_value(self) -> str:
        return format_param(self.value)


@dataclass(frozen=True)
class Sweep:
    """All experiments, by value and then by seed."""

    key: str
    """Dotted, such as models.resnet.lr."""
    model: str
    score_kind: ScoreKind
    trials: Sequence[Trial]

    @property
    def stage(self) -> str:
        """Return the stage that writes the score."""
        group = "cross_validate" if self.score_kind is ScoreKind.INNER_AUC else "train"
        return f"{group}@{self.model}"

    @property
    def short_key(self) -> str:
        return self.key.removeprefix(f"models.{self.model}.")

    def label(self, trial: Trial) -> str:
        """Return what names an experiment in messages."""
        return f"{self.short_key}={trial.shown_value} seed {trial.seed}"


def plan_sweep(setting: str, n_seeds: int, values: Any) -> Sweep:
    """Return the experiments that a setting KEY=VALUE,VALUE... asks for.

    values: of params.yaml, which the schema accepts. ArgumentError for what cannot be swept,
    InputError where params.yaml makes no score by which to compare.
    """
    if not 1 <= n_seeds <= MAX_SEEDS:
        raise ArgumentError(f"--seeds {n_seeds}: expected 1 to {MAX_SEEDS}")
    key, sign, text = setting.partition("=")
    if not sign:
        raise ArgumentError(f"{setting!r}: expected KEY=VALUE,VALUE, such as {EXAMPLE}")
    path = parse_key(key, values)
    swept_values = parse_swept_values(setting, text)

    params = check_values(values)
    model = params.models[path[1]]
    score_kind = choose_score(params, path[1])
    check_swept_key(path[2], model, score_kind)
    if path[2] == "arch" and path[1] in params.cross_validation.models:
        raise explain_arch_of_folds(path[1])
    trials = list(list_trials(path, swept_values, n_seeds, values))
    return Sweep(key, path[1], score_kind, trials)


def parse_key(key: str, values: Any) -> list[str]:
    """Return the parts of models.M.KEY; ArgumentError if params.yaml lacks the model or group."""
    path = key.split(".")
    if len(path) < 3 or path[0] != "models" or not all(path):
        raise ArgumentError(
            f"{key!r} is not a key of a model, expected models.M.KEY, such as {EXAMPLE}"
        )
    if path[1] not in values["models"]:
        known = ", ".join(values["models"])
        raise ArgumentError(f"{key}: no model {path[1]!r}, expected one of {known}")

    group = values
    for depth, name in enumerate(path[:-1], start=1):
        group = group.get(name)
        if not isinstance(group, dict):
            group_key = ".".join(path[:depth])
            raise ArgumentError(
                f"{key}: {group_key} is not a group in params.yaml, expected one; sweep the whole "
                f"of it, as in '{group_key}={{{path[depth]}: VALUE}},{{{path[depth]}: VALUE}}'"
            )
    return path


def parse_swept_values(setting: str, text: str) -> list[Any]:
    """Return the values between commas, each of them YAML; ArgumentError unless two or more."""
    try:
        swept_values = parse_yaml(f"[{text}]")
    except (yaml.YAMLError, ValueError):
        raise ArgumentError(f"{setting!r}: the values are not readable as YAML") from None
    if not isinstance(swept_values, list) or len(swept_values) < 2:
        raise ArgumentError(f"{setting!r}: expected two values or more, such as {EXAMPLE}")
    try:
        return check_distinct(swept_values)
    except ValueError as error:
        raise ArgumentError(f"{setting!r}: {error}") from None


def choose_score(params: Params, model: str) -> ScoreKind:
    """Return what is compared: the inner score where there is one, or the validation loss."""
    is_cross_validated = model in params.cross_validation.models
    n_inner_folds = params.cross_validation.inner_folds
    if n_inner_folds and is_cross_validated:
        return ScoreKind.INNER_AUC
    if params.models[model].validation:
        return ScoreKind.VALIDATION_LOSS

    place = "" if is_cross_validated else f" and {model} under cross_validation.models"
    raise InputError(
        f"params.yaml: no score of {model} by which to choose: validation is 0 and "
        f"cross_validation.inner_folds is {n_inner_folds}; expected train.validation above 0, or "
        f"cross_validation.inner_folds above 0{place}"
    )


def check_swept_key(name: str, model: Model, score_kind: ScoreKind) -> None:
    """Raise ArgumentError for a key whose values the score cannot compare."""
    if name == "seed":
        raise ArgumentError("seed: a seed is nothing to choose, expected another key; see --seeds")
    if score_kind is ScoreKind.INNER_AUC:
        return
    is_own_loss = name == "arch" and model.loss == "own"
    if name in KEYS_OF_VALIDATION_LOSS or is_own_loss:
        raise ArgumentError(
            f"{name}: it changes the validation loss itself, so that its values cannot be "
            "compared; cross_validation.inner_folds above 0 compares the inner AUC"
        )


def explain_arch_of_folds(model: str) -> ArgumentError:
    """Return the error for a sweep of `arch` of a cross-validated model."""
    key = f"cross_validation.models.{model}"
    return ArgumentError(
        f"models.{model}.arch: {key} names the architecture too, and a sweep changes one key; "
        f"give each architecture a model of its own under `models` and cross_validation.models, or "
        f"remove {key} to compare validation losses"
    )


def list_trials(
    path: Sequence[str], swept_values: Sequence[Any], n_seeds: int, values: Any
) -> Iterator[Trial]:
    """Yield an experiment for each value and seed; ArgumentError where the schema refuses one.

    The same seeds for each value. No network of an ensemble has the seed of another one.
    """
    key = ".".join(path)
    seed_key = ".".join([*path[:2], "seed"])
    recipe = check_values(values).models[path[1]]
    for value in swept_values:
        for number in range(n_seeds):
            seed = recipe.seed + number * recipe.ensemble
            if path[2] == "ensemble":
                seed = recipe.seed + number * max(read_sizes(swept_values))
            changes = {key: value}
            if number:
                changes[seed_key] = seed
            trial = Trial(value, seed, changes, change_values(values, changes))
            try:
                check_values(trial.params)
            except InputError as error:
                reason = str(error).removeprefix(f"{paths.PARAMS}: ")
                raise ArgumentError(f"{key}={trial.shown_value}: {reason}") from None
            yield trial


def read_sizes(swept_values: Sequence[Any]) -> list[int]:
    """Return the values that can be sizes of an ensemble, and 1."""
    return [1, *(value for value in swept_values if isinstance(value, int))]


def change_values(values: Any, changes: dict[str, Any]) -> Any:
    """Return a copy of the values in which each dotted key has its new value."""
    values = copy.deepcopy(values)
    for key, value in changes.items():
        *groups, name = key.split(".")
        group = values
        for group_name in groups:
            group = group[group_name]
        group[name] = value
    return values
