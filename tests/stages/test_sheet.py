from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.config.schema import BASELINES
from mri_stages.reporting.sheet import YOURS, Answer, render_sheet
from mri_stages.storage.assignment import write_assignment
from mri_stages.storage.choices import Choice, write_choices
from mri_stages.storage.dataset import load_all_rows, read_info
from mri_stages.storage.file_counts import FileCounts, Reason
from mri_stages.storage.files import write_csv, write_json
from mri_stages.storage.records import Leakage, Power, write_leakage, write_power
from stages import sheet
from tests.helpers.params import change_params

SUBJECTS = np.array([1, 1, 2, 2, 3, 3, 4, 4])


@pytest.fixture(autouse=True)
def data(workspace: Path) -> None:
    """Six training and two test images of four subjects in two folds; no import."""
    counts = {"train": [3, 3], "test": [1, 1]}
    write_json(paths.INFO, {"image_shape": [1, 2, 2], "classes": ["A|B", "C"], "counts": counts})
    for split, part in (("train", slice(0, 6)), ("test", slice(6, 8))):
        subjects = SUBJECTS[part]
        np.save(paths.flat_images(split), np.zeros((len(subjects), 4), dtype=np.uint8))
        np.save(paths.labels(split), np.arange(len(subjects)) % 2)
        np.save(paths.subjects(split), subjects)
    write_assignment([np.array([0, 0, 0, 0, 0, 0, 1, 1])], SUBJECTS)
    write_leakage(Leakage(sentence="No leak.", nearest_neighbour_given=0.5, copied_test_rows=7))
    write_power(Power(by="subject", count=4, classes=[], expected=[], sentences=["Few."]))
    for name in BASELINES:
        write_json(paths.new_subject_metrics(name), {})
    write_choices([])
    write_json(paths.IMPORT_OPTIONS, {})
    write_csv(paths.FILE_TABLE, ("row", "split", "class", "subject", "file"), [])


def read_rows() -> dict[str, str]:
    """Run the stage, and return the last cell of each row by its topic."""
    sheet.main()
    lines = paths.SHEET.read_text(encoding="utf-8").splitlines()
    cells = [line.removesuffix(" |").split(" | ") for line in lines if line.startswith("| ")]
    return {row[0].removeprefix("| "): row[-1] for row in cells}


def test_sheet_counts_images_and_subjects() -> None:
    text = read_rows()["Partition by subject"]
    assert "6 images, 3 subjects" in text
    assert "2 to 6 images" in text


def test_sheet_escapes_names_of_classes() -> None:
    assert read_rows()["Labels"] == "A\\|B 4, C 4"


def test_sheet_counts_copies() -> None:
    assert "7 are copies" in read_rows()["Leakage"]


def test_sheet_counts_the_choices_of_the_folds() -> None:
    change_params(Path(), {"cross_validation.inner_folds": 3})
    write_choices([Choice(0, 0, "small", 0.5), Choice(0, 1, "linear", 0.5)])
    text = read_rows()["Selection and tuning"]
    assert "3 inner folds" in text
    assert "small in 1 fold, linear in 1 fold" in text


def test_sheet_without_inner_folds_claims_no_choice() -> None:
    assert "no inner folds" in read_rows()["Selection and tuning"]


def test_sheet_names_models_whose_epoch_was_chosen() -> None:
    change_params(Path(), {"train.validation": 0.25, "models.conv.validation": 0})
    text = read_rows()["Selection and tuning"]
    assert "small 0.25" in text
    assert "conv 0" not in text


def test_sheet_has_threshold() -> None:
    change_params(Path(), {"evaluation.threshold": 0.125})
    assert "0.125" in read_rows()["Decision curve"]


def test_sheet_has_auc_with_interval() -> None:
    figures = {"auc": 0.75, "auc_low": 0.625, "auc_high": 0.875}
    accuracy = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6, "balanced_accuracy": 0.5}
    metrics = {**accuracy, "macro_f1": 0.5, **figures}
    write_json(paths.new_subject_metrics("linear"), metrics)
    assert (
        "linear 0.750 (95 % interval 0.625 to 0.875)" in read_rows()["Performance with intervals"]
    )


def test_sheet_names_excluded_files() -> None:
    write_json(paths.IMPORT_OPTIONS, {"exclude": ["*/masks/*"]})
    row = ("0", "train", "C", "1", "a.png")
    write_csv(paths.FILE_TABLE, ("row", "split", "class", "subject", "file"), [row])
    text = read_rows()["Eligibility, and what was left out"]
    assert "*/masks/*" in text
    assert "1 images" in text


FILE_COUNTS = FileCounts(
    seen=14,
    taken=8,
    left_out={Reason.EXCLUDED: 4, Reason.NO_IMAGE: 2},
    rows_without_file=3,
)


def write_import() -> None:
    content = {"files": FILE_COUNTS.model_dump(mode="json"), "slices": "2:4"}
    write_json(paths.IMPORT_OPTIONS, content)
    rows = [(str(row), "train", "C", "1", f"{row}.png") for row in range(8)]
    write_csv(paths.FILE_TABLE, ("row", "split", "class", "subject", "file"), rows)


def test_sheet_counts_files_that_were_left_out() -> None:
    write_import()
    text = read_rows()["Eligibility, and what was left out"]
    assert "8 images of 8 files out of 14" in text
    assert "4 by --exclude" in text
    assert "without a file: 3" in text


def test_flow_counts_files_that_were_left_out() -> None:
    write_import()
    files, taken, *_ = sheet.list_levels(load_all_rows(read_info()))
    assert "14" in files[0].text
    imported, left_out = taken
    assert "8 images" in imported.text
    assert "2:4" in imported.text
    assert "6 files" in left_out.text
    assert "4 by --exclude" in left_out.text
    assert (imported.is_end, left_out.is_end) == (False, True)


def test_flow_of_all_files_has_nothing_left_out() -> None:
    write_import()
    counts = FileCounts(seen=8, taken=8, left_out={})
    write_json(paths.IMPORT_OPTIONS, {"files": counts.model_dump(mode="json")})
    _, taken, *_ = sheet.list_levels(load_all_rows(read_info()))
    assert len(taken) == 1


def test_sheet_is_the_same_again() -> None:
    read_rows()
    files = (paths.SHEET, paths.FLOW_FIGURE)
    expected = [path.read_bytes() for path in files]
    read_rows()
    assert [path.read_bytes() for path in files] == expected


def test_render_keeps_cells_in_one_line() -> None:
    text = render_sheet("T", [Answer("Ethics", YOURS, "a\nb")]).decode()
    assert f"| Ethics | {YOURS} | a; b |" in text.splitlines()
