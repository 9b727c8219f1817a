"""The schema of params.yaml: what it may hold, and a one-line error that says what it may not."""

import re
import reprlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from src import paths
from src.cli import InputError

BASELINES = ("majority", "nearest_neighbour", "linear")  # rows of the same table as the models
WINDOWS_DEVICES = r"con|prn|aux|nul|com\d|lpt\d"  # Windows cannot make a file of such a name

ARCHITECTURES = sorted(
    path.stem
    for path in (Path(__file__).parent / "models").glob("*.py")
    if path.stem not in ("__init__", "layers")
)


def _is_a_file(arch: str) -> str:
    if arch not in ARCHITECTURES:
        raise ValueError(
            f"{arch[:60]!r} is not a file in src/models, expected one of {', '.join(ARCHITECTURES)}"
        )
    return arch


Epochs = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Threads = Annotated[int, Field(ge=1, le=1024)]
LearningRate = Annotated[float, Field(gt=0, le=1e30)]
BatchSize = Annotated[int, Field(ge=1)]
Precision = Literal["float32", "tf32", "bf16"]
Optimizer = Literal["sgd", "adam", "adamw"]
Momentum = Annotated[float, Field(ge=0, lt=1)]
WeightDecay = Annotated[float, Field(ge=0, le=1e30)]
Schedule = Literal["constant", "cosine"]
ClassWeights = Literal["none", "balanced"]
ValidationShare = Annotated[float, Field(ge=0, le=0.9)]
Patience = Annotated[int, Field(ge=1)]


class Group(BaseModel):
    """Closed and strict: an unknown key, or text where a number belongs, is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Data(Group):
    raw: Annotated[str, Field(min_length=1)]  # the folder of the raw tensors
    title: Annotated[str, Field(min_length=1, max_length=80)]  # of pictures and reports


class Sample(Group):
    subjects: Annotated[int, Field(ge=8, le=10_000)]
    slices: Annotated[int, Field(ge=5, le=1000)]  # per subject
    height: Annotated[int, Field(ge=8, le=4096)]  # pixels
    width: Annotated[int, Field(ge=8, le=4096)]
    seed: Seed


class Augment(Group):
    shift: Annotated[int, Field(ge=0, le=1024)]  # pixels
    flip: bool  # left to right


class Train(Group):
    epochs: Epochs
    seed: Seed
    shuffle: bool
    threads: Threads
    precision: Precision
    optimizer: Optimizer
    momentum: Momentum  # of sgd
    weight_decay: WeightDecay
    schedule: Schedule
    class_weights: ClassWeights
    augment: Literal["none"] | Augment
    validation: ValidationShare
    patience: Patience | None  # epochs; null: train to the end


class Recipe(Train):
    """How one model is trained: the group `train` with the model's own keys."""

    lr: LearningRate
    batch_size: BatchSize

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum is {self.momentum:g}, expected 0, since optimizer is {self.optimizer}"
            )
        if self.patience and not self.validation:
            raise ValueError(
                f"patience is {self.patience}, expected null, since validation is 0; hold out a "
                "share for it"
            )
        return self


class Model(Group):
    """An architecture and the keys of its Recipe that differ from `train`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    arch: Annotated[str, AfterValidator(_is_a_file)]


def _each_once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} occurs {values.count(value)} times, expected each once")
    return values


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Return the value as DVC sees it: 10 names the stage and file 10, not 10.0."""
    check(value)
    return value


EachOnce = (AfterValidator(_each_once), Field(min_length=1))


class Study(Group):
    seeds: Annotated[list[Seed], *EachOnce]


class SeedStudy(Study):
    models: Annotated[list[str], *EachOnce]  # names under `models`


class LearningRateStudy(Study):
    model: str
    values: Annotated[list[Annotated[LearningRate, WrapValidator(_as_written)]], *EachOnce]


class BatchSizeStudy(Study):
    model: str
    values: Annotated[list[BatchSize | Literal["all"]], *EachOnce]  # all: every training row


class LeakageStudy(Study):
    model: str
    shares: Annotated[list[Annotated[int, Field(ge=0, le=100)]], *EachOnce]  # per cent


class Evaluation(Group):
    negative_class: str | None  # `auc` is of any other class against it; null: macro mean


class CrossValidation(Group):
    folds: Annotated[int, Field(ge=2, le=100)]
    seed: Seed
    models: dict[str, str]  # name: arch, as under `models`; DVC cannot look the arch up


class Export(Group):
    model: str  # a name under `models`


class Studies(Group):
    seed: SeedStudy
    learning_rate: LearningRateStudy
    batch_size: BatchSizeStudy
    leakage: LeakageStudy


class Params(Group):
    data: Data
    sample: Sample
    train: Train
    models: Annotated[dict[str, Model], Field(min_length=1)]
    evaluation: Evaluation
    cross_validation: CrossValidation
    export: Export
    studies: Studies

    @field_validator("models")
    @classmethod
    def _names_are_file_names(cls, models: dict[str, Model]) -> dict[str, Model]:
        for name in models:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
                raise ValueError(
                    f"{name[:70]!r} names files and stages, expected a letter, then at most 63 "
                    "letters, digits, '_' and '-'"
                )
            if name.casefold() in BASELINES or re.fullmatch(WINDOWS_DEVICES, name, re.IGNORECASE):
                raise ValueError(f"{name!r} is reserved, for a baseline or by Windows; rename it")
        folded = [name.casefold() for name in models]
        if same := [name for name in models if folded.count(name.casefold()) > 1]:
            raise ValueError(
                f"{' and '.join(same)} would share a file where case does not count; rename one"
            )
        return models

    @field_validator("cross_validation")
    @classmethod
    def _archs_are_those_of_the_models(
        cls, value: CrossValidation, info: ValidationInfo
    ) -> CrossValidation:
        known = info.data.get("models")
        for name, arch in value.models.items():
            if known is not None and (name not in known or known[name].arch != arch):
                expected = known[name].arch if name in known else f"one of {', '.join(known)}"
                raise ValueError(f"models: {name[:60]}: {arch[:60]}, expected {expected}")
        return value

    @field_validator("export", "studies")
    @classmethod
    def _are_of_models(cls, group: Any, info: ValidationInfo) -> Any:
        known = info.data.get("models")
        named = [("model", group.model)] if isinstance(group, Export) else []
        if isinstance(group, Studies):
            named = [("seed.models", name) for name in group.seed.models]
            for key in ("learning_rate", "batch_size", "leakage"):
                named.append((f"{key}.model", getattr(group, key).model))
        for key, name in named:
            if known is not None and name not in known:  # None: the error is in the models
                raise ValueError(
                    f"{key}: {name[:60]!r} is not a model, expected a name under `models`: "
                    f"{', '.join(known)}"
                )
        return group

    def groups_by_lr(self) -> list[dict[str, float]]:
        """Return name and lr of models that differ in lr and in nothing else."""
        groups: defaultdict[object, dict[str, float]] = defaultdict(dict)
        for name, model in self.models.items():
            recipe = self.recipe(name)
            groups[model.arch, recipe.model_copy(update={"lr": 0})][name] = recipe.lr
        return [group for group in groups.values() if len({*group.values()}) > 1]

    def recipe(self, name: str) -> Recipe:
        """Return how model `name` is trained: the group `train` with its own keys."""
        return Recipe.model_validate(
            self.train.model_dump() | (self.models[name].model_extra or {})
        )


def read_params(path: Path = paths.PARAMS) -> Params:
    """Return the checked params.yaml; InputError with one line that names the first wrong key."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run in the folder that holds it") from None
    except OSError:
        raise
    except Exception as error:  # random text can raise any kind in the parser
        text = " ".join(str(error).split())
        raise InputError(f"{path}: not readable as YAML: {text[:200]}") from None
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_error(error, Params)}") from None
    for name in params.models:
        try:
            params.recipe(name)
        except ValidationError as error:
            raise InputError(f"{path}: {_first_error(error, Recipe, 'models', name)}") from None
    return params


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain YAML in which `1e-8` is a number, as for DVC, and every key occurs once."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key.value, str)]
        for tag, key in keys:
            if tag == "tag:yaml.org,2002:merge":  # a few hundred bytes can fill any memory
                raise ValueError("merge keys (<<) are not accepted; write the keys out")
            if keys.count((tag, key)) > 1:
                raise ValueError(f"the key {key!r} occurs twice in a group")


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _first_error(error: ValidationError, schema: type[Group], *group: str) -> str:
    """Return the first error of what `schema` says of the group of keys in params.yaml."""
    errors = error.errors(include_url=False)
    for each in errors:  # a part of `loc` may name a kind of value instead of a key
        kinds = ("Augment", "literal['none']")
        each["loc"] = tuple(part for part in each["loc"] if part not in kinds)
    if any(isinstance(each["input"], dict) for each in errors):  # not the text of a union
        errors = [each for each in errors if each["type"] != "literal_error"] or errors
    first = errors[0]
    if first["type"] == "missing":  # if it is there, but misspelt, name it as it is written
        unknown = (e for e in errors if e["type"] == "extra_forbidden")
        first = next((e for e in unknown if e["loc"][:-1] == first["loc"][:-1]), first)
    loc = first["loc"][:4]  # a fifth part names a kind of value, not a key
    key = ".".join(str(part)[:70] for part in (*group, *loc)) or "the file"
    match first["type"]:
        case _ if first["type"] == "invalid_key" or loc[-1:] == ("[key]",):
            message = f"{key.removesuffix('.[key]')} is a key that is not text; quote it"
        case "missing":
            message = f"{key} is missing, expected a value; see the README's table of parameters"
        case "extra_forbidden":
            message = f"{key} is not a known key; known here: {', '.join(_keys(schema, loc[:-1]))}"
        case "value_error":
            message = f"{key}: {first['ctx']['error']}"
        case _:
            messages = (e["msg"] for e in errors if e["loc"][:4] == loc)  # one per kind of value
            expected = " or ".join(message.removeprefix("Input should be ") for message in messages)
            message = f"{key} is {_shown(first['input'])}, expected {expected}"
    more = len({other["loc"][:4] for other in errors}) - 1
    return message + (f" (and {more} more)" if more else "")


def _keys(kind: Any, loc: tuple[Any, ...]) -> Iterable[str]:
    """Return the keys of the group at `loc` in a schema."""
    for part in loc:
        kind = get_args(kind)[1] if get_args(kind) else kind.model_fields[part].annotation
    return cast(Iterable[str], kind.model_fields)


def _shown(value: Any) -> str:
    short = reprlib.Repr()  # aliases can make a value larger than any memory
    short.maxlevel = 2
    text = short.repr(value)
    return f"{text[:60]}{'...' if len(text) > 60 else ''} ({type(value).__name__})"
