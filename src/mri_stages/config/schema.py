"""Schema of params.yaml: its keys and their limits."""

import json
import os
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from mri_stages import paths

# Rows of the same table as the models, in its order.
BASELINES = ("majority", "nearest_neighbour", "brightness", "linear", "kernel", "covariates")
AVERAGE = "average"  # the row of the mean of the cross-validated networks
CHOSEN = "chosen"  # the row of the model that each fold chooses
RESERVED_NAMES = (*BASELINES, AVERAGE, CHOSEN)


def list_architectures() -> list[str]:
    """Return the names of the files in src/mri_stages/models that define an architecture."""
    folder = Path(__file__).parents[1] / "models"
    return sorted({path.stem for path in folder.glob("*.py")} - {"__init__", "layers"})


ARCHITECTURES = list_architectures()


def check_architecture(arch: str) -> str:
    """Return the name; ValueError that lists the architectures if there is no such file."""
    if arch not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(
            f"{arch!r} is not a file in src/mri_stages/models, expected one of {known}"
        )
    return arch


def check_raw_folder(raw: str) -> str:
    """Return the folder; ValueError if it overlaps with what stages write.

    It is as seen from the current folder, the project's root. DVC refuses such a folder too, and
    does not name the key.
    """
    folder = Path(os.path.realpath(raw))
    for place in paths.STAGE_PLACES:
        full_place = Path(os.path.realpath(place))
        if folder == full_place:
            relation = "is"
        elif folder.is_relative_to(full_place):
            relation = "lies in"
        elif full_place.is_relative_to(folder):
            relation = "holds"
        else:
            continue
        raise ValueError(
            f"{raw!r} {relation} {place}, which stages write, expected a folder of the raw tensors "
            "alone, such as data/raw"
        )
    return raw


def check_distinct(values: list[Any]) -> list[Any]:
    """Return the values; ValueError that names the first that occurs more than once."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} occurs more than once, expected each value once")
    return values


def check_inner_folds(n_folds: int) -> int:
    """Return the number; ValueError for a single fold, which leaves nothing to train on."""
    if n_folds == 1:
        raise ValueError("1 inner fold, expected 0 (no choice) or 2 and more")
    return n_folds


MAX_NAME_LENGTH = 100  # a file's name may have 255 bytes, and a few are added
# Of files and stages.
Name = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_-]*$", max_length=MAX_NAME_LENGTH)]
MAX_SEED = 2**32 - 1
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
BatchSize = Annotated[int, Field(ge=1)]
DISTINCT_VALUES = (AfterValidator(check_distinct), Field(min_length=1))
# Names of columns of subjects.csv.
Columns = Annotated[list[Annotated[str, Field(min_length=1)]], AfterValidator(check_distinct)]


class Group(BaseModel):
    """Closed and strict: an unknown key, or text where a number belongs, is an error.

    The text below a key is its row of docs/parameters.md, which `mri-stages parameters` writes.
    """

    model_config = ConfigDict(strict=True, frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def check_keys(cls, values: Any) -> Any:
        """Fail before a misspelt key is reported as missing."""
        for key in values if isinstance(values, dict) else []:
            if key not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise ValueError(f"{key!r} is not a known key, expected one of {known}")
        return values


ScaledRows = Literal["saved", "on_the_fly"]


class Data(Group):
    raw: Annotated[str, Field(min_length=1), AfterValidator(check_raw_folder)]
    """the folder of the raw tensors"""
    title: Annotated[str, Field(min_length=1, max_length=80)]
    """names the data in pictures and reports"""
    scaled: ScaledRows
    """`saved`: the scaled rows lie in data/scaled, four times the bytes of grey levels;
    `on_the_fly`: each batch is scaled when it is read; models and folds are the same, and the
    studies agree within rounding, see docs/data.md"""


class Sample(Group):
    subjects: Annotated[int, Field(ge=8, le=10_000)]
    """phantom subjects"""
    slices: Annotated[int, Field(ge=5, le=1000)]
    """slices per subject, the last fifth of them in test"""
    height: Annotated[int, Field(ge=8, le=4096)]
    """pixels; conv_nn2 needs 36 x 36, conv_nn1 and resnet 16 x 16, small_cnn 8 x 8"""
    width: Annotated[int, Field(ge=8, le=4096)]
    """pixels"""
    seed: Seed
    """seed of the phantoms"""


class Augment(Group):
    shift: Annotated[int, Field(ge=0, le=1024)] = 0
    """each training image is moved by up to so many pixels at random, its edge repeated"""
    flip: bool = False
    """each training image is mirrored left to right or not, at random"""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0
    """each training image is turned about its centre by up to so many degrees at random, its edge
    repeated"""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0
    """a random number of up to this share of a pixel's standard deviation over the training rows
    (1 in scaled images) is added to all pixels of a training image, or subtracted"""
    contrast: Annotated[float, Field(ge=0, le=1)] = 0
    """each training image's differences from its mean are multiplied by a random number between
    1 - `contrast` and 1 + `contrast`"""


class Train(Group):
    epochs: Annotated[int, Field(ge=1)]
    """passes over the training rows"""
    seed: Seed
    """of the initial weights, dropout, augmentation, validation rows, and the order of `shuffle`"""
    shuffle: bool
    """a new order of the rows every epoch, instead of the stored one"""
    threads: Annotated[int, Field(ge=1, le=1024)]
    """CPU threads per training. Another number changes the last bits of a result"""
    precision: Literal["float32", "tf32", "bf16"]
    """of the products in training: `tf32` (GPU only) and `bf16` round more and are faster on a GPU;
    weights stay float32"""
    cuda_graphs: bool
    """on a GPU, the steps of networks that can be condensed run as CUDA graphs, which no GPU has
    tried yet; false: as ordinary PyTorch runs them. A training on the CPU is the same with both"""
    optimizer: Literal["sgd", "adam", "adamw"]
    """as in `torch.optim`"""
    momentum: Annotated[float, Field(ge=0, lt=1)]
    """of `sgd`"""
    weight_decay: Annotated[float, Field(ge=0, le=1e30)]
    """of any optimizer, as PyTorch defines it"""
    schedule: Literal["constant", "cosine"]
    """`cosine`: from `lr` to 0 over all steps that follow the warm-up"""
    warmup_epochs: Annotated[int, Field(ge=0)]
    """over the steps of so many first epochs the learning rate grows linearly to `lr`, which the
    last of them has; the schedule begins after them"""
    loss: Literal["cross_entropy", "own"]
    """what a training lowers, also the validation loss. `own`: the function `loss` of the
    architecture's file, see docs/models.md"""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    """of `cross_entropy`: this share of a row's label is spread evenly over all classes, in
    validation too"""
    class_weights: Literal["balanced"] | None
    """`balanced`: a row weighs N / (classes x rows of its class) in the loss, in
    validation too; null: all weigh 1"""
    augment: Augment | Literal["own"] | None
    """random changes of the training images, any of those below: `{shift: PIXELS, flip: true}`;
    `own`: the function `augment` of the architecture's file, see docs/models.md; null: none"""
    validation: Annotated[float, Field(ge=0, le=0.9)]
    """share of the training subjects of each class (of rows, without ids) that is held out to
    choose the epoch with the lowest loss. The scaler has seen their pixels"""
    patience: Annotated[int, Field(ge=1)] | None
    """epochs without a lower validation loss that end a training; null: none do"""
    ensemble: Annotated[int, Field(ge=1, le=100)]
    """networks of a model, with the seeds `seed`, `seed` + 1, ...; their probabilities are
    averaged"""


class Recipe(Train):
    """How one model is trained: the group `train` with the model's own keys."""

    lr: Annotated[float, Field(gt=0, le=1e30)]
    """learning rate"""
    batch_size: BatchSize
    """rows per step; the smaller last batch is kept"""

    @model_validator(mode="after")
    def check_combinations(self) -> Self:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum is {self.momentum:g}, expected 0, since optimizer is {self.optimizer}"
            )
        if self.patience and not self.validation:
            raise ValueError(
                f"patience is {self.patience}, expected null, since validation is 0; hold out a "
                "share for it"
            )
        if self.label_smoothing and self.loss == "own":
            raise ValueError(
                f"label_smoothing is {self.label_smoothing:g}, expected 0, since loss is own"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs is {self.warmup_epochs}, expected less than the {self.epochs} of "
                "epochs"
            )
        if self.seed + self.ensemble - 1 > MAX_SEED:
            raise ValueError(
                f"seed is {self.seed}, expected at most {MAX_SEED - self.ensemble + 1}, since "
                f"ensemble is {self.ensemble}: each network has the next seed"
            )
        return self


class InitialWeights(Group):
    file: Annotated[str, Field(pattern=r"\.(safetensors|pth|pt)$")]
    """a state dict, .safetensors, .pth or .pt: absolute, or from the workspace"""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """of the file, as the command `models weights FILE` prints it; the file is found by it"""


class Model(Recipe):
    """An architecture and its recipe; params.yaml holds the keys that differ from `train`."""

    arch: Annotated[str, AfterValidator(check_architecture)]
    """the file `src/mri_stages/models/ARCH.py`. M may hold any key of `train` too, for this model
    alone"""
    # These keys have a default, since `train` has no such keys: leaving one out is a value.
    options: dict[str, JsonValue] = {}
    """`{KEY: VALUE}`, further arguments of the file's `make_network`; may be left out, see
    docs/models.md"""
    weights: InitialWeights | None = None
    """`{file: PATH, sha256: HEX}`, trained weights to begin with; may be left out, see
    docs/models.md"""
    freeze: list[Annotated[str, Field(min_length=1)]] = []
    """names of parts of the network that do not train, such as `body`; may be left out, see
    docs/models.md"""

    def describe_network(self) -> str:
        """Return a text that is equal for the models with the same architecture and options."""
        return f"{self.arch} {json.dumps(self.options, sort_keys=True)}"


class Study(Group):
    seeds: Annotated[list[Seed], *DISTINCT_VALUES]
    """every value is trained with each of them"""


class SeedStudy(Study):
    models: Annotated[list[str], *DISTINCT_VALUES]
    """names under `models`"""


class LearningRateStudy(Study):
    model: str
    """a name under `models`"""
    # As DVC sees them: 10 names the stage and file 10, not 10.0.
    values: Annotated[list[Annotated[int | float, Field(gt=0, le=1e30)]], *DISTINCT_VALUES]
    """learning rates, above 0"""


class BatchSizeStudy(Study):
    model: str
    """a name under `models`"""
    values: Annotated[list[BatchSize | Literal["all"]], *DISTINCT_VALUES]
    """rows per step; `all` is a batch of every training row"""


class LeakageStudy(Study):
    model: str
    """a name under `models`"""
    shares: Annotated[list[Annotated[int, Field(ge=0, le=100)]], *DISTINCT_VALUES]
    """per cent of the test subjects that also train"""


class Evaluation(Group):
    negative_class: str | None
    """`auc` is of any other class against this one; null: the mean of one class against the rest"""
    covariates: Columns | None
    """columns of `subjects.csv`, such as `[age, sex]`, of which the baseline `covariates` predicts
    the class; null: it is left out"""
    groups: Columns | None
    """columns of `subjects.csv`, such as `[sex, site]`, of at most ten values each: the networks
    are scored in each of these groups of new subjects; null: in none"""
    threshold: Annotated[float, Field(gt=0, lt=1)]
    """the probability of the positive class from which a new subject is called positive, for
    sensitivity, specificity and net benefit; choose it before you see results"""


class CrossValidation(Group):
    folds: Annotated[int, Field(ge=2, le=100)]
    """folds of all rows, by subject where ids are known"""
    repeats: Annotated[int, Field(ge=1, le=100)]
    """times that all rows are predicted, each with its own folds and seed of the trainings"""
    seed: Seed
    """seed of the folds of the first repeat; those of the others are derived from it"""
    stratify: Columns | None
    """columns of `subjects.csv`, such as `[sex]`, whose shares within each class are alike in all
    folds; null: only those of the classes are"""
    inner_folds: Annotated[int, Field(ge=0, le=100), AfterValidator(check_inner_folds)]
    """folds of the training rows of each fold, which choose the best model inside it: the row
    `chosen`, see docs/evaluation.md. So many further trainings for each fold; 0: no choice"""
    models: dict[str, str]  # DVC cannot look the arch up
    """`NAME: ARCH` of the models to cross-validate; ARCH as under `models`"""


class Export(Group):
    model: str = ""
    """the model under `models` that the stage `export@model` writes to `models/export`;
    `export: {}` exports none"""

    @field_validator("model", mode="before")
    @classmethod
    def check_model(cls, name: Any) -> Any:
        if not name:
            raise ValueError("expected a name under `models`; `export: {}` exports none")
        return name


class Studies(Group):
    seed: SeedStudy
    learning_rate: LearningRateStudy
    batch_size: BatchSizeStudy
    leakage: LeakageStudy


class Params(Group):
    data: Data
    sample: Sample
    train: Train
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    evaluation: Evaluation
    cross_validation: CrossValidation
    export: Export
    studies: Studies

    @model_validator(mode="before")
    @classmethod
    def copy_train_into_models(cls, values: Any) -> Any:
        match values:
            case {"train": dict(train), "models": dict(models)}:
                merged_models = {
                    name: train | model if isinstance(model, dict) else model
                    for name, model in models.items()
                }
                return values | {"models": merged_models}
        return values

    @model_validator(mode="after")
    def check_names(self) -> Self:
        studies = self.studies
        exported = [self.export.model] if self.export.model else []
        model_references = [
            *(("export.model", name) for name in exported),
            *((f"cross_validation.models.{name}", name) for name in self.cross_validation.models),
            *(("studies.seed.models", name) for name in studies.seed.models),
            ("studies.learning_rate.model", studies.learning_rate.model),
            ("studies.batch_size.model", studies.batch_size.model),
            ("studies.leakage.model", studies.leakage.model),
        ]
        for key, name in model_references:
            if name not in self.models:
                known = ", ".join(self.models)
                raise ValueError(f"{key}: {name!r} is not under `models`, expected one of {known}")
        for name, arch in self.cross_validation.models.items():
            expected = self.models[name].arch
            if arch != expected:
                key = f"cross_validation.models.{name}"
                raise ValueError(f"{key} is {arch!r}, expected {expected!r}, as under `models`")
        for name in RESERVED_NAMES:
            if name in self.models:
                reserved = ", ".join(RESERVED_NAMES)
                raise ValueError(
                    f"models.{name} has a reserved name, expected one that is not among {reserved}"
                )
        return self

    def group_models_by_lr(self, names: Container[str]) -> list[dict[str, float]]:
        """Return name and lr of those models of `names` that differ in lr and in nothing else."""
        recipes: list[Model] = []
        groups: list[dict[str, float]] = []
        for name, model in self.models.items():
            if name not in names:
                continue
            recipe = model.model_copy(update={"lr": 0})
            if recipe not in recipes:
                recipes.append(recipe)
                groups.append({})
            groups[recipes.index(recipe)][name] = model.lr
        return [group for group in groups if len({*group.values()}) > 1]
