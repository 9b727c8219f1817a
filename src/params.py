"""The schema of params.yaml: what may stand there, and the one line that says what may not."""

import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

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
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor

from src.cli import InputError

PATH = Path("params.yaml")

# Rows of the same table as the models.
FOLD_BASELINES = ("nearest_neighbour_random", "nearest_neighbour_subject")
BASELINES = ("majority", "nearest_neighbour", *FOLD_BASELINES)
WINDOWS_DEVICES = r"con|prn|aux|nul|com\d|lpt\d"  # no file of such a name can be made there

Arch = Literal["SimpleNN1", "SimpleNN2", "ConvNN1", "ConvNN2"]
PrecisionName = Literal["float32", "tf32", "bf16"]
SplitName = Literal["given", "subject", "random"]

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
    slices: int = Field(ge=5, le=1000, description="a whole number from 5 to 1000 (a subject)")
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
    arch: Arch = Field(description=f"one of {', '.join(get_args(Arch))}")
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
            raise ValueError(f"{value!r} stands {values.count(value)} times, expected each once")
    return values


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """The value as DVC sees it: 10 names a cell's stage and file 10, not 10.0."""
    check(value)
    return value


EachOnce = AfterValidator(_each_once)
Seeds = Annotated[
    list[Seed],
    EachOnce,
    Field(min_length=1, description="a list of whole numbers from 0, such as [0, 1, 2]"),
]
ModelName = Annotated[str, Field(description="a name under `models`")]


class SeedStudy(Group):
    models: Annotated[
        list[ModelName],
        EachOnce,
        Field(min_length=1, description="a list of names under `models`"),
    ]
    seeds: Seeds


class LearningRateStudy(Group):
    model: ModelName
    values: Annotated[
        list[Annotated[float, Field(gt=0, le=1e30), WrapValidator(_as_written)]],
        EachOnce,
        Field(min_length=1, description="a list of numbers above 0, such as [0.01, 0.1]"),
    ]
    seeds: Seeds


class BatchSizeStudy(Group):
    model: ModelName
    values: Annotated[
        list[Annotated[int, Field(ge=1)] | Literal["all"]],
        EachOnce,
        Field(min_length=1, description="a list of whole numbers from 1, or all: [15, all]"),
    ]
    seeds: Seeds


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
                    f"{name!r} names files and stages, expected a letter, then at most 63 "
                    "letters, digits, '_' and '-'"
                )
            if name.casefold() in BASELINES or re.fullmatch(WINDOWS_DEVICES, name, re.IGNORECASE):
                raise ValueError(f"{name!r} is reserved, for a baseline or by Windows; rename it")
        folded = [name.casefold() for name in models]
        if twins := [name for name in models if folded.count(name.casefold()) > 1]:
            raise ValueError(
                f"{' and '.join(twins)} would share a file where case does not count; rename one"
            )
        return models

    @field_validator("studies")
    @classmethod
    def _studies_are_of_models(cls, studies: Studies, info: ValidationInfo) -> Studies:
        named = {f"seed.models: {name!r}": name for name in studies.seed.models}
        for key in ("learning_rate", "batch_size"):
            named[f"{key}.model: {getattr(studies, key).model!r}"] = getattr(studies, key).model
        for found, name in named.items():
            if name not in info.data.get("models", [name]):  # no models: they are the error
                known = ", ".join(info.data["models"])
                raise ValueError(f"{found} is no model, expected a name under `models`: {known}")
        return studies

    def training(self, name: str) -> Train:
        """The group `train` as model `name` sees it, its own overrides applied."""
        own = self.models[name].model_dump(include=set(Train.model_fields), exclude_none=True)
        return self.train.model_copy(update=own)


class _WithoutMerges(SafeConstructor):
    """Of merge keys (<<), a few hundred bytes can take longer than anybody lives."""

    def flatten_mapping(self, node: Any) -> Any:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise ValueError("merge keys (<<) are not taken; write the keys out")
        return super().flatten_mapping(node)


def read_params(path: Path = PATH) -> Params:
    """The checked params.yaml; InputError with one line that names the first wrong key.

    Read by ruamel.yaml, the parser of DVC itself (YAML 1.2: `1e-8` is a number, `yes` is text, a
    key that stands twice is an error), so that DVC and the stages see the same values.
    """
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _WithoutMerges
        values = yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run in the folder that holds it") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8 ({error})") from None
    except OSError:
        raise
    except Exception as error:  # random text can raise anything in the parser
        # ruamel appends advice of its own on how to switch the check off.
        text = " ".join(str(error).split()).split(" To suppress this check")[0]
        raise InputError(f"{path}: no readable YAML: {text[:200]}") from None
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_error(error)}") from None


def _first_error(error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    first = errors[0]
    if first["type"] == "missing":  # if it is there, but misspelt, name it as it stands there
        unknown = (e for e in errors if e["type"] == "extra_forbidden")
        first = next((e for e in unknown if e["loc"][:-1] == first["loc"][:-1]), first)
    loc, found = first["loc"][:4], first["input"]  # a fifth part names a kind of value, no key
    key = ".".join(str(part)[:70] for part in loc) or "the file"
    match first["type"]:
        case _ if first["type"] == "invalid_key" or loc[-1:] == ("[key]",):
            message = f"{key.removesuffix('.[key]')} is a key that is no text; quote it"
        case "missing":
            message = f"{key} is missing, expected {_expected(loc)}"
        case "extra_forbidden":
            message = f"{key} is no known key; known here: {', '.join(_group(loc[:-1]))}"
        case "value_error":
            message = f"{key}: {first['ctx']['error']}"
        case _:
            message = f"{key} is {_shown(found)}, expected {_expected(loc)}"
    more = len({other["loc"][:4] for other in errors}) - 1
    return message + (f" (and {more} more)" if more else "")


def _group(loc: tuple[Any, ...]) -> dict[str, Any]:
    """The fields of the group at `loc`: (), ('train',), ('models', NAME) or ('studies', STUDY)."""
    if loc[:1] == ("models",):
        return Model.model_fields
    if loc[:1] == ("studies",) and len(loc) == 2:
        return Studies.model_fields[loc[1]].annotation.model_fields  # type: ignore[union-attr, no-any-return]
    return Params.model_fields[loc[0]].annotation.model_fields if loc else Params.model_fields  # type: ignore[union-attr]


def _expected(loc: tuple[Any, ...]) -> str:
    """What the key at `loc` may hold, in words."""
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
