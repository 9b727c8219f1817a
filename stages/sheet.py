"""Write what a reviewer asks, plots/sheet.md, and draw the flow of the data, plots/flow.png."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.plotting.flow import Box, draw_flow
from mri_stages.plotting.style import save_png
from mri_stages.reporting.sheet import (
    SheetFacts,
    describe_scores,
    describe_selection,
    list_answers,
    render_sheet,
)
from mri_stages.storage.assignment import read_assignment
from mri_stages.storage.choices import read_choices
from mri_stages.storage.dataset import AllRows, Info, load_all_rows, read_info
from mri_stages.storage.details import read_file_table
from mri_stages.storage.file_counts import FileCounts, read_file_counts
from mri_stages.storage.files import read_json, write_bytes
from mri_stages.storage.records import read_leakage, read_new_subject_metrics, read_power


def main() -> None:
    params = read_params()
    info = read_info()
    rows = load_all_rows(info)
    save_png(paths.FLOW_FIGURE, draw_flow(list_levels(rows)))
    facts = collect_facts(params, info, rows)
    write_bytes(paths.SHEET, render_sheet(params.data.title, list_answers(facts)))
    print(f"wrote {paths.SHEET} and {paths.FLOW_FIGURE}")


def list_levels(rows: AllRows) -> list[list[Box]]:
    """Return the boxes from the files to the folds."""
    all_mask = np.ones(len(rows.labels), dtype=bool)
    train_text = f"Train\n{break_line(count_rows(rows, ~rows.test_mask))}"
    test_text = f"Test\n{break_line(count_rows(rows, rows.test_mask))}\n{describe_copies()}"
    return [
        *list_origin_levels(),
        [Box(f"Tensors: {count_rows(rows, all_mask)}")],
        [Box(train_text), Box(test_text)],
        [Box(f"Train and test together\n{describe_folds(rows)}")],
    ]


def list_origin_levels() -> list[list[Box]]:
    """Return the boxes of the files before the tensors, and of what was left out."""
    counts = read_file_counts()
    if counts is None:
        return [[Box(describe_origin())]]
    imported = f"Imported: {len(read_file_table())} images of {counts.taken} files"
    taken = [Box("\n".join([imported, *describe_slices()]))]
    if counts.left_out:
        n_left_out = counts.seen - counts.taken
        lines = [f"Left out: {n_left_out} files", *counts.describe_left_out()]
        taken.append(Box("\n".join(lines), is_end=True))
    return [[Box("\n".join([f"Files: {counts.seen}", *describe_missing(counts)]))], taken]


def describe_missing(counts: FileCounts) -> list[str]:
    """Return a phrase on the rows of a table that name no file, if there are any."""
    if not counts.rows_without_file:
        return []
    return [f"rows of the table without a file: {counts.rows_without_file}"]


def describe_origin() -> str:
    """Return what is known of the files before the tensors, and of what was left out."""
    n_images = len(read_file_table())
    if not n_images:
        return "No files are recorded (data/details/files.csv): the flow begins at the tensors"
    counts = read_file_counts()
    if counts is None:
        return f"Imported: {n_images} images\n{describe_rules()}"
    left_out = [*counts.describe_left_out(), *describe_missing(counts)]
    reasons = ", ".join(left_out) or "none"
    lines = [
        f"Imported: {n_images} images of {counts.taken} files out of {counts.seen}",
        *describe_slices(),
        f"Left out: {reasons}",
    ]
    return "\n".join(lines)


def describe_slices() -> list[str]:
    """Return a phrase on the slices of volumes that were taken, where an option says which."""
    options = read_json(paths.IMPORT_OPTIONS, dict[str, Any])
    return [f"slices {options['slices']} of each volume"] if options.get("slices") else []


def describe_rules() -> str:
    """Return which options of the import leave files out, where their number is not recorded."""
    options = read_json(paths.IMPORT_OPTIONS, dict[str, Any])
    if not options:
        return "What was left out is not recorded: no import.json"
    rules = [f"--exclude {pattern}" for pattern in options.get("exclude", ())]
    if options.get("skip_missing"):
        rules.append("--skip-missing")
    if options.get("slices"):
        rules.append(f"--slices {options['slices']}")
    if not rules:
        return "No option of the import left images out; other files are not counted"
    return f"Left out by {', '.join(rules)}; how many is not recorded"


def count_rows(rows: AllRows, mask: NDArray[np.bool_]) -> str:
    """Return the numbers of images and of subjects of the rows in a mask (N,)."""
    images = f"{mask.sum()} images"
    if rows.subjects is None:
        return f"{images}, subjects unknown"
    return f"{images}, {len(np.unique(rows.subjects[mask]))} subjects"


def break_line(text: str) -> str:
    """Return the text with its numbers in lines below each other, for a narrow box."""
    return text.replace(", ", "\n")


def describe_copies() -> str:
    leakage = read_leakage()
    return f"{leakage.copied_test_rows or 0} are copies of a training image"


def describe_folds(rows: AllRows) -> str:
    """Return the numbers of folds, of repeats and of images in a fold."""
    repeats = read_assignment(rows)
    if not repeats:
        return "No folds are possible"
    sizes = np.concatenate([np.bincount(folds) for folds in repeats])
    unit = "image, since subjects are unknown" if rows.subjects is None else "subject"
    fold_size = f"{sizes.min()} to {sizes.max()}" if sizes.min() < sizes.max() else f"{sizes.min()}"
    return (
        f"{int(repeats[0].max()) + 1} folds by {unit}; repeats: {len(repeats)}\n"
        f"{fold_size} images in a fold"
    )


def collect_facts(params: Params, info: Info, rows: AllRows) -> SheetFacts:
    metrics = read_new_subject_metrics(params)
    evaluation = params.evaluation
    counts = np.bincount(rows.labels, minlength=info.n_classes)
    pairs = zip(info.classes, counts.tolist(), strict=True)
    train = count_rows(rows, ~rows.test_mask)
    test = count_rows(rows, rows.test_mask)
    names = ", ".join(evaluation.groups or [])
    return SheetFacts(
        source=f"`{params.data.raw}`: {count_rows(rows, np.ones(len(rows.labels), dtype=bool))}",
        left_out=describe_origin(),
        classes=", ".join(f"{name} {count}" for name, count in pairs),
        partition=f"train {train}; test {test}; both: {describe_folds(rows)}",
        copies=f"test images: {describe_copies()}. {read_leakage().sentence}",
        seeds=f"seed {params.train.seed} of trainings (unless a model has its own), "
        f"{params.cross_validation.seed} of folds",
        recipes=", ".join(f"{name} ({model.arch})" for name, model in params.models.items()),
        selection=describe_selection(
            params.cross_validation.inner_folds,
            read_choices(),
            {name: model.validation for name, model in params.models.items()},
        ),
        power=read_power().sentences,
        performance=describe_scores("auc", metrics),
        calibration=describe_scores("calibration_slope", metrics),
        threshold=f"threshold of a positive answer: {evaluation.threshold:g}",
        groups=names or "none: `evaluation.groups` names no column",
        exported_model=params.export.model or "none",
    )


if __name__ == "__main__":
    run_stage(main)
