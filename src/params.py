"""The schema of params.yaml: what it may hold, and a one-line error that says what it may not."""

import re
import reprlib
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

# Rows of the same table as the models.
FOLD_BASELINES = ("nearest_neighbour_random", "nearest_neighbour_subject")
BASELINES = ("majority", "nearest_neighbour", *FOLD_BASELINES)
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


class Group(BaseModel):
    """Closed and strict: an unknown key, or text where a number belongs, is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Data(Group):
    raw: Annotated[str, Field(min_length=1)]  # the folder of the raw tensors
    split: Literal["given", "subject", "random"]
    folds: Annotated[int, Field(ge=2, le=1000)]
    fold: Annotated[int, Field(ge=0)]  # the one that is test
    seed: Seed

    @model_validator(mode="after")
    def _fold_is_one_of_the_folds(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(
                f"fold is {self.fold}, expected 0 to {self.folds - 1}, since data.folds is "
                f"{self.folds}"
            )
        return self


class Sample(Group):
    subjects: Annotated[int, Field(ge=8, le=10_000)]
    slices: Annotated[int, Field(ge=5, le=1000)]  # per subject
    height: Annotated[int, Field(ge=8, le=4096)]  # pixels
    width: Annotated[int, Field(ge=8, le=4096)]
    seed: Seed


class Train(Group):
    epochs: Epochs
    seed: Seed
    shuffle: bool
    threads: Threads
    precision: Precision


class Model(Group):
    arch: Annotated[str, AfterValidator(_is_a_file)]
    lr: LearningRate
    batch_size: BatchSize
    epochs: Epochs | None = None
    seed: Seed | None = None
    shuffle: bool | None = None
    threads: Threads | None = None
    precision: Precision | None = None


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


class Studies(Group):
    seed: SeedStudy
    learning_rate: LearningRateStudy
    batch_size: BatchSizeStudy


class Params(Group):
    data: Data
    sample: Sample
    train: Train
    models: Annotated[dict[str, Model], Field(min_length=1)]
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

    @field_validator("studies")
    @classmethod
    def _studies_are_of_models(cls, studies: Studies, info: ValidationInfo) -> Studies:
        known = info.data.get("models")
        named = {f"seed.models: {name[:60]!r}": name for name in studies.seed.models}
        for key in ("learning_rate", "batch_size"):
            name = getattr(studies, key).model
            named[f"{key}.model: {name[:60]!r}"] = name
        for found, name in named.items():
            if known is not None and name not in known:  # None: the error is in the models
                raise ValueError(
                    f"{found} is not a model, expected a name under `models`: {', '.join(known)}"
                )
        return studies

    def training(self, name: str) -> Train:
        """Return the group `train` as model `name` sees it, its own overrides applied."""
        own = self.models[name].model_dump(include=set(Train.model_fields), exclude_none=True)
        return self.train.model_copy(update=own)


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
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_error(error)}") from None


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


def _first_error(error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    first = errors[0]
    if first["type"] == "missing":  # if it is there, but misspelt, name it as it is written
        unknown = (e for e in errors if e["type"] == "extra_forbidden")
        first = next((e for e in unknown if e["loc"][:-1] == first["loc"][:-1]), first)
    loc = first["loc"][:4]  # a fifth part names a kind of value, not a key
    key = ".".join(str(part)[:70] for part in loc) or "the file"
    match first["type"]:
        case _ if first["type"] == "invalid_key" or loc[-1:] == ("[key]",):
            message = f"{key.removesuffix('.[key]')} is a key that is not text; quote it"
        case "missing":
            message = f"{key} is missing, expected a value; see the README's table of parameters"
        case "extra_forbidden":
            message = f"{key} is not a known key; known here: {', '.join(_keys(loc[:-1]))}"
        case "value_error":
            message = f"{key}: {first['ctx']['error']}"
        case _:
            messages = (e["msg"] for e in errors if e["loc"][:4] == loc)  # one per kind of value
            expected = " or ".join(message.removeprefix("Input should be ") for message in messages)
            message = f"{key} is {_shown(first['input'])}, expected {expected}"
    more = len({other["loc"][:4] for other in errors}) - 1
    return message + (f" (and {more} more)" if more else "")


def _keys(loc: tuple[Any, ...]) -> Iterable[str]:
    """Return the keys of the group at `loc`."""
    kind: Any = Params
    for part in loc:
        kind = get_args(kind)[1] if get_args(kind) else kind.model_fields[part].annotation
    return cast(Iterable[str], kind.model_fields)


def _shown(value: Any) -> str:
    short = reprlib.Repr()  # aliases can make a value larger than any memory
    short.maxlevel = 2
    text = short.repr(value)
    return f"{text[:60]}{'...' if len(text) > 60 else ''} ({type(value).__name__})"
