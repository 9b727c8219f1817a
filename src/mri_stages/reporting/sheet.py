"""The sheet of a study: what a reviewer asks, and where the pipeline answers it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mri_stages.storage.choices import Choice, describe_choices
from mri_stages.storage.records import Metrics

YOURS = "not by a pipeline: yours"
REPORT = "`plots/report.html`"
SOURCE_SENTENCE = (
    "The topics are those of CLAIM 2024 and TRIPOD+AI, without item numbers: the official lists "
    "were not read for this sheet."
)


class SheetFacts(NamedTuple):
    """What the pipeline knows of a study, as texts without line ends."""

    source: str  # where the images are from
    left_out: str
    classes: str  # names with their numbers of images
    partition: str  # train, test and folds
    copies: str
    seeds: str
    recipes: str  # the models and their architectures
    selection: str  # what the pipeline itself chose, and by which figures
    power: Sequence[str]  # sentences
    performance: Sequence[str]  # a figure of each model on new subjects
    calibration: Sequence[str]
    threshold: str
    groups: str
    exported_model: str


class Answer(NamedTuple):
    """A row of the sheet."""

    topic: str
    place: str  # file or section; or `YOURS`
    value: str = ""


def describe_scores(key: str, metrics: Mapping[str, Metrics]) -> list[str]:
    """Return the figure `key` with its interval for each model that has it."""
    texts = []
    for name, scores in metrics.items():
        estimate = scores.get_estimate(key)
        if estimate.value is None:
            continue
        interval = "no interval"
        if estimate.low is not None and estimate.high is not None:
            interval = f"95 % interval {estimate.low:.3f} to {estimate.high:.3f}"
        texts.append(f"{name} {estimate.value:.3f} ({interval})")
    return texts


def describe_selection(
    n_inner_folds: int, choices: Sequence[Choice], validation_shares: Mapping[str, float]
) -> str:
    """Return what the pipeline chose by training subjects: the model of a fold, and epochs.

    validation_shares: by model, the share of its training subjects that picks the best epoch.
    """
    selection = "no inner folds, so the pipeline chose no model"
    if choices:
        selection = f"{n_inner_folds} inner folds in each fold chose {describe_choices(choices)}"
    elif n_inner_folds:
        selection = f"{n_inner_folds} inner folds in each fold, by which no model could be chosen"
    parts = [f"{name} {share:g}" for name, share in validation_shares.items() if share]
    epochs = "the last epoch of each training is used"
    if parts:
        epochs = f"the epoch by the loss on a share of the training subjects: {', '.join(parts)}"
    return f"{selection}; {epochs}"


def list_answers(facts: SheetFacts) -> list[Answer]:
    """Return a row for each topic, in the order of a paper."""
    return [*list_data_answers(facts), *list_model_answers(facts), *list_result_answers(facts)]


def list_data_answers(facts: SheetFacts) -> list[Answer]:
    return [
        Answer("Intended use and clinical question", YOURS),
        Answer("Data source", "params.yaml: `data.raw`; when and where images were taken: yours",
               facts.source),
        Answer("Eligibility, and what was left out", "`plots/flow.png`; who was invited: yours",
               facts.left_out),
        Answer("Labels", "`data/flat/info.json`; who labelled, and by what standard: yours",
               facts.classes),
        Answer("Partition by subject", "`plots/flow.png`, `data/assignment.csv`",
               facts.partition),
        Answer("Leakage", f"`plots/leakage.json`; {REPORT}, leakage", facts.copies),
        Answer("Missing data", "`load` refuses wrong tensors; missing "
               "subjects and covariates: yours"),
        Answer("Preprocessing", "`data/details/import.json` (import); `data/scaler.npz` (scaling)",
               "pixels are standardised by the training rows, in each fold anew"),
        Answer("Sample size and power", f"`plots/power.json`; {REPORT}", " ".join(facts.power)),
    ]  # fmt: skip


def list_model_answers(facts: SheetFacts) -> list[Answer]:
    return [
        Answer("Model", "params.yaml: `models`; docs/models.md", facts.recipes),
        Answer("Training", "params.yaml: `train`, `models`; `plots/history.csv`", facts.seeds),
        Answer("Selection and tuning", "`data/combined/chosen.csv`; what else was tried, and by "
               "which figures it was chosen: yours", facts.selection),
        Answer("Software", "`environment.yaml`, `requirements.lock`"),
        Answer("Code availability", "this repository at the commit of this file; its address: "
               "yours"),
        Answer("Data availability", YOURS),
        Answer("Ethics and consent", YOURS),
        Answer("Registration, protocol and funding", YOURS),
    ]  # fmt: skip


def list_result_answers(facts: SheetFacts) -> list[Answer]:
    calibration = "; ".join(facts.calibration) or "no slope: not two classes, or none could be fit"
    return [
        Answer("Performance with intervals", f"`metrics/cross_validation/`; {REPORT}",
               "AUC: " + ("; ".join(facts.performance) or "none")),
        Answer("Baseline comparison", "`plots/pairs_new_subjects.csv`, `plots/new_subjects.png`"),
        Answer("Calibration", "`plots/calibration.png`", f"slope: {calibration}"),
        Answer("Decision curve", "`plots/decisions.png`", facts.threshold),
        Answer("Subgroups and fairness", "`plots/groups.csv`", facts.groups),
        Answer("Failure analysis", f"`plots/failures.png`; {REPORT}; why they fail: yours"),
        Answer("Robustness", "`plots/robustness.png`"),
        Answer("External test", "`mri-stages external FOLDER --model NAME` scores one; the images: "
               "yours"),
        Answer("Model availability", "`models/export`", facts.exported_model),
        Answer("Limits", f"{REPORT} names those of the data and intervals; all others: yours"),
    ]  # fmt: skip


def render_sheet(title: str, answers: Sequence[Answer]) -> bytes:
    """Return the sheet as Markdown, in UTF-8."""
    lines = [
        f"# What a reviewer asks: {escape_cell(title)}",
        "",
        SOURCE_SENTENCE,
        "",
        "| topic | where it is answered | what the pipeline knows |",
        "|---|---|---|",
    ]
    for answer in answers:
        cells = " | ".join(escape_cell(text) for text in answer)
        lines.append(f"| {cells} |")
    return ("\n".join(lines) + "\n").encode()


def escape_cell(text: str) -> str:
    """Return the text in one line, so that it stays in its cell."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return "; ".join(lines).replace("|", "\\|")
