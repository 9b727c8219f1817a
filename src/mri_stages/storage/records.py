"""Records that stages hand to each other through files: metrics, leakage, curves, pairs."""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from mri_stages import paths
from mri_stages.config.schema import AVERAGE, BASELINES, Params
from mri_stages.storage.files import read_csv, read_json, write_csv, write_json

GIVEN_SPLIT_BASELINES = ("majority", "nearest_neighbour")  # the others predict new subjects only
# Their p is a share of votes, often 0 or 1: it cannot be calibrated.
VOTING_BASELINES = ("majority", "nearest_neighbour")

NO_RESULT = "no result"  # in tables, of a model that failed or was not run

Unit = Literal["subject", "row"]  # what cross-validation counts
Share = Annotated[float, Field(ge=0, le=1)]


class ConfusionRow(NamedTuple):
    """A row of plots/confusion/M.csv: the names of two classes."""

    actual: str
    predicted: str


class RocPoint(NamedTuple):
    """A row of plots/roc/M.csv."""

    name: str  # of the positive class
    false_positive_rate: float
    true_positive_rate: float


class CalibrationPoint(NamedTuple):
    """A row of plots/new_subjects/calibration/M.csv: a bin of the probability of positive.

    Numbers of subjects are means over repeats.
    """

    p: float  # the middle of the bin
    observed: float | None  # the smooth share of positives at p; None outside the predictions
    positives: float  # subjects in the bin
    negatives: float


class DecisionPoint(NamedTuple):
    """A row of plots/new_subjects/decision/M.csv: net benefit at a threshold, a mean of repeats."""

    threshold: float
    model: float
    treat_all: float
    treat_none: float = 0


class ConfusionCell(NamedTuple):
    """A row of plots/new_subjects/confusion/M.csv: subjects by actual and predicted class."""

    actual: str
    predicted: str
    count: float  # type: ignore[assignment]  # of subjects, a mean over repeats; hides a method
    total: int  # of subjects of the actual class


class RobustnessRow(NamedTuple):
    """A row of plots/new_subjects/robustness/M.csv: the AUC on images with one change."""

    change: str  # unchanged, shift, noise, contrast or brightness
    strength: float
    unit: str | None  # of the strength; None of unchanged images
    auc: float | None  # None where a changed image has a probability that is not a number
    low: float | None  # 95 % confidence interval
    high: float | None
    units: int  # subjects; without ids, rows


class Pair(NamedTuple):
    """A row of plots/pairs.csv: the test of two models on the same rows."""

    a: str
    b: str
    only_a: int  # rows that only `a` gets right
    only_b: int
    p: float  # two-sided, Holm-corrected over the pairs
    p_is_floor: bool = False  # whether no lower p can be shown by so many resamples


class Difference(NamedTuple):
    """A row of plots/pairs_new_subjects.csv: the AUCs of two models on the same new subjects."""

    first: str  # a network
    second: str  # a baseline, or another network
    difference: float  # AUC of the first minus AUC of the second
    low: float | None  # 95 % confidence interval; None where no resample differs from another
    high: float | None
    p: float  # two-sided; Holm-corrected over the networks for a baseline, and over network pairs
    units: int  # subjects (per class) that both score; without ids, rows
    p_is_floor: bool = False  # whether no lower p can be shown by so many resamples


class Estimate(NamedTuple):
    """A figure with its 95 % confidence interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


class Metrics(BaseModel):
    """The content of metrics/M.json, in the order of the file. None is left out of the file."""

    model_config = ConfigDict(frozen=True, strict=True)

    accuracy: Share
    ci_low: Share  # 95 % confidence interval of the accuracy
    ci_high: Share
    balanced_accuracy: Share  # mean over the scored classes
    macro_f1: Share  # mean over the scored classes
    auc: Share | None = None  # see `compute_auc`
    auc_low: Share | None = None  # 95 % confidence interval of the AUC
    auc_high: Share | None = None
    auc_by_fold: Share | None = None  # mean of the AUCs of the folds: see fold_auc.py
    auc_by_fold_low: Share | None = None
    auc_by_fold_high: Share | None = None
    unscored_folds: str | None = None  # folds without an AUC; separated by commas
    loss: FiniteFloat | None = None
    diverged: bool | None = None  # None for a baseline
    unscored_classes: str | None = None  # see `list_scored_classes`; separated by commas
    by: Unit | None = None
    kept_epoch: int | FiniteFloat | None = None
    """the epoch, from 1, of the lowest validation loss; of folds the median"""
    kept_epoch_low: int | None = None  # the least of the folds
    kept_epoch_high: int | None = None
    subjects: int | None = None  # number of subjects in cross-validation, where ids are known
    repeats: int | None = None  # of the cross-validation

    # Of two classes, each with its 95 % confidence interval: see probabilities.py.
    brier: Share | None = None
    brier_low: Share | None = None
    brier_high: Share | None = None
    brier_scaled: FiniteFloat | None = None
    brier_scaled_low: FiniteFloat | None = None
    brier_scaled_high: FiniteFloat | None = None
    calibration_slope: FiniteFloat | None = None
    calibration_slope_low: FiniteFloat | None = None
    calibration_slope_high: FiniteFloat | None = None
    calibration_intercept: FiniteFloat | None = None
    calibration_intercept_low: FiniteFloat | None = None
    calibration_intercept_high: FiniteFloat | None = None
    sensitivity: Share | None = None
    sensitivity_low: Share | None = None
    sensitivity_high: Share | None = None
    specificity: Share | None = None
    specificity_low: Share | None = None
    specificity_high: Share | None = None
    ppv: Share | None = None
    ppv_low: Share | None = None
    ppv_high: Share | None = None
    npv: Share | None = None
    npv_low: Share | None = None
    npv_high: Share | None = None
    net_benefit: FiniteFloat | None = None
    net_benefit_low: FiniteFloat | None = None
    net_benefit_high: FiniteFloat | None = None
    net_benefit_all: FiniteFloat | None = None
    net_benefit_all_low: FiniteFloat | None = None
    net_benefit_all_high: FiniteFloat | None = None

    @property
    def accuracy_estimate(self) -> Estimate:
        return Estimate(self.accuracy, self.ci_low, self.ci_high)

    @property
    def auc_estimate(self) -> Estimate:
        return Estimate(self.auc, self.auc_low, self.auc_high)

    def get_estimate(self, key: str) -> Estimate:
        """Return the figure `key`, such as `brier`, with its interval; None where there is none."""
        if key == "accuracy":
            return self.accuracy_estimate
        low = getattr(self, f"{key}_low", None)
        high = getattr(self, f"{key}_high", None)
        return Estimate(getattr(self, key), low, high)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class RowCopy(BaseModel):
    """A test row that is equal to a training row, each by its file or its number."""

    test: str
    train: str


class RowConflict(BaseModel):
    """Two equal rows with their classes or subjects, which differ."""

    first: str  # file or number of the row
    second: str
    first_value: str  # name of the class, or id of the subject
    second_value: str


class Leakage(BaseModel):
    """The content of plots/leakage.json. None is left out of the file."""

    sentence: str
    nearest_neighbour_given: float  # accuracy of the nearest neighbour on the given split
    nearest_neighbour_random: float | None = None
    """its accuracy on random folds of all rows; None where no folds are possible"""
    sampled_rows: int | None = None  # number of rows compared; None if all were
    shared_subjects: float | None = None  # share of test rows whose subject has training rows
    same_subject_neighbour: float | None = None
    """share of test rows whose nearest training row is of the same subject"""
    nearest_row_of_same_subject: float | None = None
    """share of rows whose nearest row is of the same subject, if the subject has several rows"""
    warning: str | None = None  # what the copies below mean
    copied_test_rows: int | None = None  # rows that are equal to a training row; None for 0
    copies: list[RowCopy] | None = None  # the first ones of them
    images_of_two_classes: int | None = None  # different images in rows of two classes
    class_conflicts: list[RowConflict] | None = None  # the first ones of their rows
    images_of_two_subjects: int | None = None
    subject_conflicts: list[RowConflict] | None = None
    constant_rows: int | None = None  # rows of one grey level, which do not count as copies


class ClassCount(BaseModel):
    """The units, subjects or rows, of a class."""

    name: str
    count: int
    test_folds: int  # in how many folds there are some, at least; 0 where no folds are possible
    scored: bool = False  # see `list_scored_classes`
    note: str = ""  # what is wrong; "" for nothing


class ExpectedAuc(BaseModel):
    """What the numbers of units allow, if a model has this AUC. None is left out of the file."""

    auc: Share
    low: Share  # of the expected 95 % confidence interval
    high: Share
    difference_0: Share | None = None
    """the smallest difference from a better model that is seen, for scores that do not correlate;
    None if none is"""
    difference_50: Share | None = None  # for scores that correlate by 0.5
    difference_80: Share | None = None


class Power(BaseModel):
    """The content of plots/power.json: what the data can show, before any training."""

    by: Unit
    count: int  # of units: subjects, once per class, or rows without ids
    unscored_classes: str | None = None  # separated by commas; None is left out of the file
    classes: list[ClassCount]
    expected: list[ExpectedAuc]  # for several AUCs; none where there is no AUC
    sentences: list[str]


def write_metrics(path: Path, metrics: Metrics | None) -> None:
    """Write metrics; None, for a baseline that these data do not allow, as an empty object."""
    write_json(path, {} if metrics is None else metrics.to_json())


def read_metrics(path: Path) -> Metrics | None:
    """Return the metrics of a file; None for a score that these data do not allow."""
    is_empty = not read_json(path, dict)
    return None if is_empty else read_json(path, Metrics)


def read_given_metrics(params: Params) -> dict[str, Metrics]:
    """Return the metrics on the given split, of the models and then of the baselines.

    A model without a file of metrics has no result, and is left out.
    """
    metrics_by_name = {}
    for name in (*params.models, *GIVEN_SPLIT_BASELINES):
        path = paths.metrics(name)
        if name in GIVEN_SPLIT_BASELINES or path.exists():
            metrics_by_name[name] = read_json(path, Metrics)
    return metrics_by_name


def read_new_subject_metrics(params: Params) -> dict[str, Metrics]:
    """Return the metrics in cross-validation: of the models, their average and the baselines.

    A model without a file of metrics has no result, and is left out. So is a score that these data
    do not allow; where no folds are possible, that is every score.
    """
    metrics_by_name = {}
    for name in (*params.cross_validation.models, AVERAGE, *BASELINES):
        path = paths.new_subject_metrics(name)
        metrics = read_metrics(path) if name in BASELINES or path.exists() else None
        if metrics is not None:
            metrics_by_name[name] = metrics
    return metrics_by_name


def list_missing_models(models: Iterable[str], metrics: Container[str]) -> list[str]:
    """Return those of `models` that have no result."""
    return [name for name in models if name not in metrics]


def write_leakage(leakage: Leakage) -> None:
    write_json(paths.LEAKAGE, leakage.model_dump(exclude_none=True))


def read_leakage() -> Leakage:
    return read_json(paths.LEAKAGE, Leakage)


def write_power(power: Power) -> None:
    write_json(paths.POWER, power.model_dump(exclude_none=True))


def read_power() -> Power:
    return read_json(paths.POWER, Power)


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    write_csv(path, Pair._fields, pairs)


def read_pairs(path: Path) -> list[Pair]:
    return read_csv(path, Pair, least=0)


def write_differences(differences: Iterable[Difference]) -> None:
    write_csv(paths.NEW_SUBJECT_PAIRS, Difference._fields, differences)


def read_differences() -> list[Difference]:
    return read_csv(paths.NEW_SUBJECT_PAIRS, Difference, least=0)


def write_roc_points(model: str, points: Iterable[RocPoint]) -> None:
    write_csv(paths.roc(model), RocPoint._fields, points)


def read_roc_points(model: str) -> list[RocPoint]:
    return read_csv(paths.roc(model), RocPoint, least=0)


def write_confusion(model: str, predictions: Iterable[ConfusionRow]) -> None:
    write_csv(paths.confusion(model), ConfusionRow._fields, predictions)


def read_confusion(model: str) -> list[ConfusionRow]:
    return read_csv(paths.confusion(model), ConfusionRow)


def write_calibration(model: str, points: Iterable[CalibrationPoint]) -> None:
    write_csv(paths.new_subject_plot("calibration", model), CalibrationPoint._fields, points)


def read_calibration(model: str) -> list[CalibrationPoint]:
    """Return the bins of the new subjects; none where there are not two classes."""
    return read_csv(paths.new_subject_plot("calibration", model), CalibrationPoint, least=0)


def write_decision(model: str, points: Iterable[DecisionPoint]) -> None:
    write_csv(paths.new_subject_plot("decision", model), DecisionPoint._fields, points)


def read_decision(model: str) -> list[DecisionPoint]:
    """Return the decision curve of new subjects; none where there are not two classes."""
    return read_csv(paths.new_subject_plot("decision", model), DecisionPoint, least=0)


def write_new_subject_roc(model: str, points: Iterable[RocPoint]) -> None:
    write_csv(paths.new_subject_plot("roc", model), RocPoint._fields, points)


def read_new_subject_roc(model: str) -> list[RocPoint]:
    return read_csv(paths.new_subject_plot("roc", model), RocPoint, least=0)


def write_new_subject_confusion(model: str, cells: Iterable[ConfusionCell]) -> None:
    write_csv(paths.new_subject_plot("confusion", model), ConfusionCell._fields, cells)


def read_new_subject_confusion(model: str) -> list[ConfusionCell]:
    return read_csv(paths.new_subject_plot("confusion", model), ConfusionCell, least=0)


def write_robustness(model: str, rows: Iterable[RobustnessRow]) -> None:
    write_csv(paths.new_subject_plot("robustness", model), RobustnessRow._fields, rows)


def read_robustness(params: Params) -> dict[str, list[RobustnessRow]]:
    """Return the AUCs on changed images of each cross-validated model that has some."""
    rows_by_model = {}
    for name in params.cross_validation.models:
        path = paths.new_subject_plot("robustness", name)
        rows = read_csv(path, RobustnessRow, least=0) if path.exists() else []
        if rows:
            rows_by_model[name] = rows
    return rows_by_model
