"""The schema of params.yaml: what it may hold, and a one-line error that says what it may not."""

import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

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

PrecisionName = Literal["float32", "tf32", "bf16"]
SplitName = Literal["given", "subject", "random"]


def _is_a_file(arch: str) -> str:
    if arch not in ARCHITECTURES:
        raise ValueError(
            f"{arch[:60]!r} is not a file in src/models, expected one of {', '.join(ARCHITECTURES)}"
        )
    return arch


# A field's description is the end of its error message: what the key may hold.
Epochs = Annotated[int, Field(ge=1, description="a whole number from 1, such as 10")]
Seed = Annotated[
    int, Field(ge=0, lt=2**32, description="a whole number from 0 to 4294967295, such as 0")
]
Shuffle = Annotated[bool, Field(description="true or false")]
Threads = Annotated[int, Field(ge=1, le=1024, description="a whole number from 1 to 1024")]
Precision = Annotated[
    PrecisionName, Field(description=f"one of {', '.join(get_args(PrecisionName))}")
]
Arch = Annotated[
    str, AfterValidator(_is_a_file), Field(description=f"one of {', '.join(ARCHITECTURES)}")
]


class Group(BaseModel):
    """Closed and strict: an unknown key, or text where a number belongs, is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Data(Group):
    raw: str = Field(
        min_length=1, description="the folder of the raw tensors as text, such as data/sample"
    )
    split: SplitName = Field(description=f"one of {', '.join(get_args(SplitName))}")
    folds: int = Field(ge=2, le=1000, description="a whole number from 2 to 1000, such as 5")
    fold: int = Field(ge=0, description="a whole number from 0, below data.folds")
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
    subjects: int = Field(ge=8, le=10_000, description="a whole number from 8 to 10000")
    slices: int = Field(ge=5, le=1000, description="a whole number from 5 to 1000, per subject")
    height: int = Field(ge=8, le=4096, description="a whole number of pixels from 8 to 4096")
    width: int = Field(ge=8, le=4096, description="a whole number of pixels from 8 to 4096")
    seed: Seed


class Train(Group):
    epochs: Epochs
    seed: Seed
    shuffle: Shuffle
    threads: Threads
    precision: Precision


class Model(Group):
    arch: Arch
    lr: float = Field(gt=0, le=1e30, description="a number above 0, up to 1e30, such as 0.01")
    batch_size: int = Field(ge=1, description="a whole number from 1, such as 100")
    epochs: Epochs | None = None
    seed: Seed | None = None
    shuffle: Shuffle | None = None
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


EachOnce = AfterValidator(_each_once)
ModelName = Annotated[str, Field(description="a name under `models`")]


class Study(Group):
    seeds: Annotated[
        list[Seed],
        EachOnce,
        Field(min_length=1, description="a list of whole numbers from 0, such as [0, 1, 2]"),
    ]


class SeedStudy(Study):
    models: Annotated[
        list[ModelName],
        EachOnce,
        Field(min_length=1, description="a list of names under `models`"),
    ]


class LearningRateStudy(Study):
    model: ModelName
    values: Annotated[
        list[Annotated[float, Field(gt=0, le=1e30), WrapValidator(_as_written)]],
        EachOnce,
        Field(min_length=1, description="a list of numbers above 0, such as [0.01, 0.1]"),
    ]


class BatchSizeStudy(Study):
    model: ModelName
    values: Annotated[
        list[Annotated[int, Field(ge=1)] | Literal["all"]],
        EachOnce,
        Field(min_length=1, description="a list of whole numbers from 1, or all: [15, all]"),
    ]


class Studies(Group):
    seed: SeedStudy
    learning_rate: LearningRateStudy
    batch_size: BatchSizeStudy


class Params(Group):
    data: Data
    sample: Sample
    train: Train
    models: dict[str, Model] = Field(min_length=1, description="at least one model")
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
    loc, found = first["loc"][:4], first["input"]  # a fifth part names a kind of value, not a key
    key = ".".join(str(part)[:70] for part in loc) or "the file"
    match first["type"]:
        case _ if first["type"] == "invalid_key" or loc[-1:] == ("[key]",):
            message = f"{key.removesuffix('.[key]')} is a key that is not text; quote it"
        case "missing":
            message = f"{key} is missing, expected {_expected(loc)}"
        case "extra_forbidden":
            message = f"{key} is not a known key; known here: {', '.join(_group(loc[:-1]))}"
        case "value_error":
            message = f"{key}: {first['ctx']['error']}"
        case _:
            message = f"{key} is {_shown(found)}, expected {_expected(loc)}"
    more = len({other["loc"][:4] for other in errors}) - 1
    return message + (f" (and {more} more)" if more else "")


def _group(loc: tuple[Any, ...]) -> dict[str, Any]:
    """Return the fields of the group at `loc`: (), (GROUP,), (models, NAME) or (studies, STUDY)."""
    if loc[:1] == ("models",):
        return Model.model_fields
    if loc[:1] == ("studies",) and len(loc) == 2:
        return Studies.model_fields[loc[1]].annotation.model_fields  # type: ignore[union-attr, no-any-return]
    return Params.model_fields[loc[0]].annotation.model_fields if loc else Params.model_fields  # type: ignore[union-attr]


def _expected(loc: tuple[Any, ...]) -> str:
    """Return what the key at `loc` may hold, in words."""
    nested = loc[:1] in (("models",), ("studies",))
    if not loc or (nested and len(loc) == 2) or (len(loc) == 1 and loc[0] != "models"):
        return f"a group with the keys {', '.join(_group(loc))}"
    if isinstance(loc[-1], int):  # a value in a list is what the list's description says
        loc = loc[:-1]
    field = _group(loc[:-1])[loc[-1]]
    return str(field.description or Train.model_fields[loc[-1]].description)


def _shown(value: Any) -> str:
    short = reprlib.Repr()  # aliases can make a value larger than any memory
    short.maxlevel = 2
    text = short.repr(value)
    return f"{text[:60]}{'...' if len(text) > 60 else ''} ({type(value).__name__})"
