"""Name every file of the pipeline, from the project's root, where all commands run.

A function here is named by the file whose place it returns.
"""

from pathlib import Path

PARAMS = Path("params.yaml")
ENVIRONMENT = Path("environment.yaml")
SAMPLE = Path("data/sample")
FLAT = Path("data/flat")
DETAILS = Path("data/details")  # of the rows and subjects; no training reads them
IMPORT_OPTIONS = DETAILS / "import.json"
FILE_TABLE = DETAILS / "files.csv"
SUBJECT_TABLE = DETAILS / "subjects.csv"
SCALED = Path("data/scaled")
ASSIGNMENT = Path("data/assignment.csv")  # of rows or subjects to folds
FOLDS = Path("data/folds")
INNER = Path("data/inner")
COMBINED = Path("data/combined")
CHOICES = COMBINED / "chosen.csv"  # the model that each fold chooses
SCALER = Path("data/scaler.npz")
NEIGHBOURS = Path("data/neighbours.npz")
INFO = FLAT / "info.json"
EXTERNAL = Path("external")
LIVE = Path(".mri-stages/live")  # a file of each stage that trains now
RUN_HISTORY = Path(".mri-stages/history.jsonl")  # a line of each run of a stage

MODELS = Path("models")
EXPORT = MODELS / "export"
METRICS = Path("metrics")
PLOTS = Path("plots")
SAMPLE_FIGURE = PLOTS / "sample.png"
HISTORIES = PLOTS / "history.csv"  # of all models
PAIRS = PLOTS / "pairs.csv"  # on the test rows
NEW_SUBJECT_PAIRS = PLOTS / "pairs_new_subjects.csv"
NEW_SUBJECTS_FIGURE = PLOTS / "new_subjects.png"
GROUPS = PLOTS / "groups.csv"  # figures of new subjects in groups
FAILURES = PLOTS / "failures.csv"  # the most confident wrong subjects
FAILURES_FIGURE = PLOTS / "failures.png"
POWER = PLOTS / "power.json"  # what the data can show
CALIBRATION_FIGURE = PLOTS / "calibration.png"  # these four are of new subjects too
DECISIONS_FIGURE = PLOTS / "decisions.png"
ROBUSTNESS_FIGURE = PLOTS / "robustness.png"
ROC_FIGURE = PLOTS / "roc.png"
LEAKAGE = PLOTS / "leakage.json"
LEAKAGE_FIGURE = PLOTS / "leakage.png"
ACCURACY_FIGURE = PLOTS / "accuracy.png"
HISTORY_FIGURE = PLOTS / "history.png"
LEARNING_RATE_FIGURE = PLOTS / "learning_rate.png"
REPORT = PLOTS / "report.html"
SHEET = PLOTS / "sheet.md"  # what a reviewer asks
FLOW_FIGURE = PLOTS / "flow.png"  # of the data, from files to folds

STUDIES = Path("studies")
STUDY_PLOTS = STUDIES / "plots"
STUDY_SUMMARY = STUDIES / "summary.csv"
CLAIMS = STUDIES / "claims.json"
STUDY_REPORT = STUDIES / "report.html"

# What stages write, besides the sample. No raw folder may be here.
STAGE_PLACES = (
    FLAT,
    DETAILS,
    SCALED,
    ASSIGNMENT,
    FOLDS,
    INNER,
    COMBINED,
    SCALER,
    NEIGHBOURS,
    MODELS,
    METRICS,
    PLOTS,
    STUDIES,
)


# Files of a split, train or test.


def flat_images(split: str) -> Path:
    """Return the file of the images of a split, as the stage `load` stored them."""
    return FLAT / f"x_{split}.npy"


def labels(split: str) -> Path:
    """Return the file of the class numbers of a split."""
    return FLAT / f"y_{split}.npy"


def subjects(split: str) -> Path:
    """Return the file of the subject ids of a split; it exists where ids are known."""
    return FLAT / f"subjects_{split}.npy"


def scaled_images(split: str) -> Path:
    """Return the file of the standardised images of a split."""
    return SCALED / f"x_{split}.npy"


# Files of a model.


def weights(model: str) -> Path:
    """Return the file of the trained weights."""
    return MODELS / f"{model}.safetensors"


def folds(model: str) -> Path:
    """Return the file of the predictions of all rows, each by a network of its fold."""
    return FOLDS / f"{model}.csv"


def inner(model: str) -> Path:
    """Return the file of the predictions of the training rows of each fold, by inner folds."""
    return INNER / f"{model}.csv"


def combined(name: str) -> Path:
    """Return the file of the predictions of a row that is made of several models."""
    return COMBINED / f"{name}.csv"


def fold_networks(model: str) -> Path:
    """Return the folder of the networks of the folds of repeat 0, with their scalers."""
    return MODELS / f"folds/{model}"


def metrics(model: str) -> Path:
    """Return the file of the metrics on the given split."""
    return METRICS / f"{model}.json"


def new_subject_metrics(model: str) -> Path:
    """Return the file of the metrics on new subjects, from cross-validation."""
    return METRICS / f"cross_validation/{model}.json"


def new_subject_plot(kind: str, model: str) -> Path:
    """Return the file of points on new subjects.

    kind: calibration, roc, confusion, decision or robustness.
    """
    return PLOTS / f"new_subjects/{kind}/{model}.csv"


def history(model: str) -> Path:
    """Return the file with a row per epoch of the training."""
    return PLOTS / f"history/{model}.csv"


def predictions(model: str) -> Path:
    """Return the file of the predictions of the test rows."""
    return PLOTS / f"predictions/{model}.csv"


def confusion(model: str) -> Path:
    """Return the file of the actual and the predicted class of each test row."""
    return PLOTS / f"confusion/{model}.csv"


def roc(model: str) -> Path:
    """Return the file of the points of the ROC curves on the given split."""
    return PLOTS / f"roc/{model}.csv"


def checkpoint(model: str, key: str) -> Path:
    """Return the file from which a killed training of the model resumes."""
    return MODELS / f"{model}.{key}.checkpoint"


def folds_checkpoint(model: str, key: str) -> Path:
    """Return the folder from which a killed cross-validation of the model resumes.

    No model's name begins with "_". So a training of the model that runs beside it, and removes
    the checkpoints of the model at its end, leaves the folder.
    """
    return MODELS / f"_folds.{model}.{key}.checkpoint"


def study_runs(study: str, value: str) -> Path:
    """Return the file of the runs of one value of a study."""
    return STUDIES / f"runs/{study}/{value}.csv"
