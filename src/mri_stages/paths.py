"""Name every file of the pipeline, from the project's root, where all commands run."""

from collections.abc import Callable
from pathlib import Path

PARAMS = Path("params.yaml")
ENVIRONMENT = Path("environment.yaml")
SAMPLE = Path("data/sample")
FLAT = Path("data/flat")
SCALER = Path("data/scaler.npz")
INFO = FLAT / "info.json"

MODELS = Path("models")
EXPORT = MODELS / "export"
PLOTS = Path("plots")
SAMPLE_FIGURE = PLOTS / "sample.png"
HISTORIES = PLOTS / "history.csv"  # of all models
PAIRS = PLOTS / "pairs.csv"  # on the test rows
NEW_SUBJECT_PAIRS = PLOTS / "pairs_new_subjects.csv"
ROC_FIGURE = PLOTS / "roc.png"
NEW_SUBJECTS_FIGURE = PLOTS / "new_subjects.png"
LEAKAGE = PLOTS / "leakage.json"
LEAKAGE_FIGURE = PLOTS / "leakage.png"
ACCURACY_FIGURE = PLOTS / "accuracy.png"
HISTORY_FIGURE = PLOTS / "history.png"
LEARNING_RATE_FIGURE = PLOTS / "learning_rate.png"
REPORT = PLOTS / "report.html"

STUDIES = Path("studies")
STUDY_PLOTS = STUDIES / "plots"
STUDY_SUMMARY = STUDIES / "summary.csv"
CLAIMS = STUDIES / "claims.json"
STUDY_REPORT = STUDIES / "report.html"


def _for_each(pattern: str) -> Callable[[str], Path]:
    """Return a function that puts a name in place of {}."""
    return lambda name: Path(pattern.format(name))


# Of a split:
flat_images = _for_each("data/flat/x_{}.npy")
labels = _for_each("data/flat/y_{}.npy")
subjects = _for_each("data/flat/subjects_{}.npy")
scaled_images = _for_each("data/scaled/x_{}.npy")

# Of a model:
weights = _for_each("models/{}.safetensors")
folds = _for_each("data/folds/{}.csv")
metrics = _for_each("metrics/{}.json")
new_subject_metrics = _for_each("metrics/cross_validation/{}.json")
history = _for_each("plots/history/{}.csv")
predictions = _for_each("plots/predictions/{}.csv")
confusion = _for_each("plots/confusion/{}.csv")
roc = _for_each("plots/roc/{}.csv")


def checkpoint(model: str, key: str) -> Path:
    return MODELS / f"{model}.{key}.checkpoint"


def folds_checkpoint(model: str, key: str) -> Path:
    # No model's name begins with "_": its training, which may run beside, removes its own.
    return MODELS / f"_folds.{model}.{key}.checkpoint"


def study_runs(study: str, value: object) -> Path:
    """Return the file of one value's runs, named as DVC writes the value into a stage's name."""
    place = f"batch_size/{study}-" if study in ("fixed", "linear") else f"{study}/"
    return STUDIES / f"runs/{place}{value}.csv"
