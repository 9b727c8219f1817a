"""Name every file of the pipeline, from the project's root, where all commands run."""

from pathlib import Path

PARAMS = Path("params.yaml")
SAMPLE = Path("data/sample")
FLAT = Path("data/flat")
SCALED = Path("data/scaled")
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
STUDY_DIFFERENCES = STUDIES / "model_differences.csv"
CLAIMS = STUDIES / "claims.json"
STUDY_REPORT = STUDIES / "report.html"


def flat_images(split: str) -> Path:
    return FLAT / f"x_{split}.npy"


def labels(split: str) -> Path:
    return FLAT / f"y_{split}.npy"


def subjects(split: str) -> Path:
    return FLAT / f"subjects_{split}.npy"


def scaled_images(split: str) -> Path:
    return SCALED / f"x_{split}.npy"


def weights(model: str) -> Path:
    return MODELS / f"{model}.safetensors"


def checkpoint(model: str, key: str) -> Path:
    return MODELS / f"{model}.{key}.checkpoint"


def folds_checkpoint(model: str, key: str) -> Path:
    # No model's name begins with "_": its training, which may run beside, removes its own.
    return MODELS / f"_folds.{model}.{key}.checkpoint"


def folds(model: str) -> Path:
    return Path(f"data/folds/{model}.csv")


def metrics(model: str) -> Path:
    return Path(f"metrics/{model}.json")


def new_subject_metrics(model: str) -> Path:
    return Path(f"metrics/cross_validation/{model}.json")


def history(model: str) -> Path:
    return PLOTS / f"history/{model}.csv"


def predictions(model: str) -> Path:
    return PLOTS / f"predictions/{model}.csv"


def confusion(model: str) -> Path:
    return PLOTS / f"confusion/{model}.csv"


def roc(model: str) -> Path:
    return PLOTS / f"roc/{model}.csv"


def study_runs(study: str, value: object) -> Path:
    """Return the file of one value's runs, named as DVC writes the value into a stage's name."""
    return STUDIES / f"runs/{study}/{value}.csv"
