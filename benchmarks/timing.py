"""Records of what a benchmark measured: the notebook's recipe beside ours."""

import statistics
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from benchmarks.machine import Machine
from benchmarks.processes import ProcessCost


class Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Timing(Record):
    """One figure of the notebook's plain recipe and of ours: seconds, milliseconds or bytes."""

    plain: float
    ours: float

    @property
    def ratio(self) -> float:
        return self.plain / self.ours


def take_medians(plain: Sequence[float], ours: Sequence[float]) -> Timing:
    return Timing(plain=statistics.median(plain), ours=statistics.median(ours))


class PreparationRuns(Record):
    """The processes of each run: load and scale in ours, a single one in the plain recipe."""

    plain: list[list[ProcessCost]]
    ours: list[list[ProcessCost]]


class Preparation(Record):
    """Reading and scaling all rows: medians over the runs, and the highest peak of memory."""

    work_seconds: Timing
    seconds: Timing
    own_mb: Timing
    runs: PreparationRuns


class RowsTiming(Record):
    rows: int
    load_and_scale_seconds: float


class SizeTiming(Record):
    """Milliseconds per step of ours by image size."""

    half_size: float
    full_size: float


class StudyTiming(Record):
    """Seconds of a value of a study: its seeds in a run each, or together."""

    one_by_one: float
    shared: float


class DvcTiming(Record):
    """Seconds of `dvc repro` with nothing to do, and of `dvc --version`."""

    repro: float
    version: float


class CpuResult(Record):
    """The content of results/cpu.json."""

    machine: Machine
    rows: dict[str, int]  # by split
    preparation: Preparation
    stored_bytes: Timing
    step_ms: dict[str, Timing]  # by model
    prediction_ms: dict[str, Timing]  # per 100 rows, by model
    train_conv_nn4: ProcessCost
    evaluate_conv_nn2: ProcessCost
    growth_with_rows: list[RowsTiming]
    training_own_mb: dict[str, float]  # by model
    growth_with_size: dict[str, SizeTiming]  # by model
    dvc_seconds: DvcTiming
    own_network_ms: dict[str, dict[str, float]]  # by model and recipe
    study_value_seconds: StudyTiming
    start_up_seconds: dict[str, float]  # of CPU, by command, or by what is imported
