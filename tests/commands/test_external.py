"""`mri-stages external`: what it refuses, what it says, and its scores."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mri_stages import paths
from mri_stages.commands import external
from mri_stages.commands.score_external import check_out, print_differences
from mri_stages.errors import InputError
from mri_stages.export.row_set import SetFigures, hash_image
from mri_stages.ingest.import_options import ImportOptions, write_import_options
from tests.helpers.project import REPO
from tests.helpers.raw_folders import write_raw
from tests.helpers.trained_project import CLASSES, IMAGE_SHAPE, N_TRAIN

MODELS = ("small", "models/export")
N_ROWS = 40


@pytest.fixture
def project(trained_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_project)
    return trained_project


def write_other_raw(
    folder: Path, classes: tuple[str, ...] = tuple(CLASSES), subjects: bool = True
) -> Path:
    """Write a raw folder of 30 + 10 random colour images of the training images' shape."""
    write_raw(folder, 30, 10, IMAGE_SHAPE, classes, subjects)
    for split, n_rows in (("train", 30), ("test", 10)):
        generator = torch.Generator().manual_seed(1000 + n_rows)
        levels = torch.randint(0, 256, (n_rows, *IMAGE_SHAPE), generator=generator)
        torch.save(levels.to(torch.uint8), folder / f"{split}_data.pt")
    return folder


def change_images(folder: Path, split: str, rows: slice, images: torch.Tensor) -> None:
    """Put images of float pixels from 0 to 1 in the place of some rows."""
    pixels = torch.load(folder / f"{split}_data.pt").float() / 255
    pixels[rows] = images
    torch.save(pixels, folder / f"{split}_data.pt")
    other = "test" if split == "train" else "train"
    torch.save(torch.load(folder / f"{other}_data.pt").float() / 255, folder / f"{other}_data.pt")


def run(folder: Path, tmp_path: Path, model: str = "small", *arguments: str) -> dict[str, Any]:
    """Run the command; return the content of its file."""
    out = tmp_path / "result.json"
    external.main([str(folder), "--model", model, "--out", str(out), *arguments])
    result: dict[str, Any] = json.loads(out.read_bytes())
    return result


@pytest.mark.parametrize("model", MODELS)
def test_external_scores_all_rows_by_subject(project: Path, tmp_path: Path, model: str) -> None:
    result = run(write_other_raw(tmp_path / "raw"), tmp_path, model)
    assert result["model"] == "small"
    assert result["by"] == "subject"
    assert result["external_set"]["rows"] == N_ROWS
    assert result["training_set"]["rows"] == N_TRAIN
    assert result["auc_low"] <= result["auc"] <= result["auc_high"]
    assert result["ci_low"] <= result["accuracy"] <= result["ci_high"]


def test_external_gives_the_same_by_name_and_by_export(project: Path, tmp_path: Path) -> None:
    folder = write_other_raw(tmp_path / "raw")
    by_name, by_export = [run(folder, tmp_path, model) for model in MODELS]
    assert by_name["accuracy"] == by_export["accuracy"]
    assert by_name["loss"] == pytest.approx(by_export["loss"], abs=1e-5)
    for key in ("training_set", "external_set", "equal_rows", "nearly_equal_rows"):
        assert by_name[key] == by_export[key], key


def test_external_matches_classes_by_name(project: Path, tmp_path: Path) -> None:
    expected = run(write_other_raw(tmp_path / "raw", subjects=False), tmp_path)
    reordered = write_other_raw(tmp_path / "again", ("Unsure", "Ill", "Sane"), subjects=False)
    for split in ("train", "test"):
        labels = torch.load(reordered / f"{split}_labels.pt")
        torch.save((labels + 1) % 3, reordered / f"{split}_labels.pt")
    (tmp_path / "result.json").unlink()
    result = run(reordered, tmp_path)
    assert result["by"] == "row"
    assert result["accuracy"] == expected["accuracy"]
    assert result["auc"] == expected["auc"]


def test_external_of_an_unknown_class_names_it(project: Path, tmp_path: Path) -> None:
    folder = write_other_raw(tmp_path / "raw", ("Ill", "Sane", "Other"))
    with pytest.raises(InputError, match=r"Other.*Ill, Sane, Unsure"):
        run(folder, tmp_path)


def test_external_without_a_class_scores_the_others(project: Path, tmp_path: Path) -> None:
    result = run(write_other_raw(tmp_path / "raw", ("Ill", "Unsure")), tmp_path)
    assert result["unscored_classes"] == "Sane"
    assert 0 <= result["auc"] <= 1


def test_external_of_another_shape_names_both(project: Path, tmp_path: Path) -> None:
    write_raw(tmp_path / "raw", shape=(3, 36, 41))
    with pytest.raises(InputError, match=r"\(3, 36, 41\).*\(3, 36, 40\)"):
        run(tmp_path / "raw", tmp_path)


def test_external_of_other_pixels_is_refused(project: Path, tmp_path: Path) -> None:
    folder = write_other_raw(tmp_path / "raw")
    for split in ("train", "test"):
        pixels = torch.load(folder / f"{split}_data.pt")
        torch.save(pixels.float() / 128 - 1, folder / f"{split}_data.pt")
    with pytest.raises(InputError, match=r"-1 to 0\.99.*0 to 1"):
        run(folder, tmp_path)


@pytest.mark.parametrize("model", MODELS)
def test_external_refuses_training_rows(project: Path, tmp_path: Path, model: str) -> None:
    folder = write_other_raw(tmp_path / "raw")
    change_images(folder, "test", slice(3, 5), torch.load("data/raw/train_data.pt")[7:9])
    with pytest.raises(InputError, match=r" 2 of 40 rows are equal .*test row 3, test row 4"):
        run(folder, tmp_path, model)
    assert not (tmp_path / "result.json").exists()


def test_external_names_the_files_of_training_rows(project: Path, tmp_path: Path) -> None:
    folder = write_other_raw(tmp_path / "raw")
    change_images(folder, "test", slice(3, 4), torch.load("data/raw/train_data.pt")[7])
    write_file_table(folder)
    with pytest.raises(InputError, match=r"test row 3 \(test/3\.png\)"):
        run(folder, tmp_path)


def write_file_table(folder: Path) -> None:
    """Write the files.csv of an import."""
    classes = json.loads((folder / "classes.json").read_text())
    lines = ["row,split,class,subject,file"]
    for split in ("train", "test"):
        labels = torch.load(folder / f"{split}_labels.pt").tolist()
        subjects = torch.load(folder / f"{split}_subjects.pt").tolist()
        for row, (label, subject) in enumerate(zip(labels, subjects, strict=True)):
            lines.append(f"{row},{split},{classes[label]},{subject},{split}/{row}.png")
    (folder / "files.csv").write_text("\n".join(lines) + "\n")


def test_external_refuses_nearly_equal_rows(project: Path, tmp_path: Path) -> None:
    folder = write_other_raw(tmp_path / "raw")
    image = torch.load("data/raw/train_data.pt")[7]
    change_images(folder, "train", slice(9, 10), (image + 0.01).clip(0, 1))
    with pytest.raises(InputError, match=r" 1 of 40 rows .*train row 9"):
        run(folder, tmp_path)


def test_external_scores_similar_rows_on_request(project: Path, tmp_path: Path) -> None:
    folder = write_other_raw(tmp_path / "raw")
    image = torch.load("data/raw/train_data.pt")[7]
    change_images(folder, "train", slice(9, 10), (image + 0.01).clip(0, 1))
    result = run(folder, tmp_path, "small", "--allow-similar")
    assert result["left_out_rows"] == 0
    assert result["nearly_equal_rows"].startswith("1 of 40 ")


def test_external_leaves_copies_out_on_request(project: Path, tmp_path: Path) -> None:
    images = torch.load("data/raw/train_data.pt")
    folder = write_other_raw(tmp_path / "raw")
    change_images(folder, "train", slice(0, 2), images[7:9])
    result = run(folder, tmp_path, "small", "--skip-copies")

    labels = torch.load(folder / "train_labels.pt")
    pixels = torch.load(folder / "train_data.pt")
    subjects = torch.load(folder / "train_subjects.pt")
    for name, tensor in (("labels", labels), ("data", pixels), ("subjects", subjects)):
        torch.save(tensor[2:], folder / f"train_{name}.pt")
    expected = run(folder, tmp_path)
    assert result["left_out_rows"] == 2
    assert result["external_set"]["rows"] == N_ROWS - 2
    for key in ("accuracy", "auc", "auc_low", "auc_high", "loss"):
        assert result[key] == expected[key], key


def test_external_takes_black_rows_as_no_copies(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_other_raw(tmp_path / "raw")
    change_images(folder, "train", slice(4, 5), torch.zeros(IMAGE_SHAPE))
    export = shutil.copytree(project / paths.EXPORT, tmp_path / "export")
    hashes = np.load(export / "rows.sha256.npy")
    hashes[0] = hash_image(np.zeros(IMAGE_SHAPE, np.float32))
    np.save(export / "rows.sha256.npy", hashes)
    monkeypatch.chdir(tmp_path)
    assert run(folder, tmp_path, "export")["equal_rows"].startswith("0 of 40 ")


def test_external_says_which_check_was_not_possible(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = shutil.copytree(project / paths.EXPORT, tmp_path / "export")
    (export / "rows.sha256.npy").unlink()
    folder = write_other_raw(tmp_path / "raw")
    monkeypatch.chdir(tmp_path)
    result = run(folder, tmp_path, "export")
    assert result["equal_rows"].startswith("not possible")
    assert result["nearly_equal_rows"].startswith("not possible")


def test_external_of_other_options_names_both(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = shutil.copytree(project / paths.EXPORT, tmp_path / "export")
    description = json.loads((export / "model.json").read_text())
    description["import"] = ImportOptions(resize=(36, 40)).model_dump(mode="json")
    (export / "model.json").write_text(json.dumps(description))
    folder = write_other_raw(tmp_path / "raw")
    write_import_options(folder, ImportOptions(resize=(36, 40), percentiles=(1, 99)))
    run(folder, tmp_path, str(export))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "--" in line]
    assert "--percentiles 1 99" in line
    assert "no --percentiles" in line


def make_figures(**changes: Any) -> SetFigures:
    values = {
        "rows": 8,
        "class_counts": {"Ill": 2, "Sane": 6},
        "darkest": 0,
        "brightest": 1,
        "mean": 0.5,
        "deviation": 0.25,
    }
    return SetFigures.model_validate({**values, **changes})


def test_print_differences_has_a_column_for_each_set(capsys: pytest.CaptureFixture[str]) -> None:
    external_figures = make_figures(rows=4, subjects=3, class_counts={"Ill": 3, "Sane": 1})
    print_differences(external_figures, make_figures(brightest=0.75))
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[-2:] for line in lines] == [
        ["4", "8"],
        ["3", "unknown"],
        ["0", "0"],
        ["1", "0.75"],
        ["0.5", "0.5"],
        ["0.25", "0.25"],
        ["75.0%", "25.0%"],
        ["25.0%", "75.0%"],
    ]


def test_external_keeps_the_result_of_another_folder(project: Path, tmp_path: Path) -> None:
    run(write_other_raw(tmp_path / "raw"), tmp_path)
    with pytest.raises(InputError, match=r"result\.json.*--out"):
        run(write_other_raw(tmp_path / "other"), tmp_path)
    run(tmp_path / "raw", tmp_path)


def test_check_out_keeps_the_result_of_another_model(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    out.write_text('{"model": "a", "folder": "raw"}')
    check_out(out, Path("raw"), "a")
    with pytest.raises(InputError, match=r"a on raw; .*--out"):
        check_out(out, Path("raw"), "b")


def test_check_out_below_a_file_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--out"):
        check_out(tmp_path / "file/result.json", Path("raw"), "a")


def test_external_of_an_export_runs_in_an_empty_folder(
    trained_project: Path, tmp_path: Path
) -> None:
    folder = write_other_raw(tmp_path / "raw")
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(REPO / "src"), "PATH": "/nowhere"}
    completed = subprocess.run(
        [sys.executable, "-m", "mri_stages", "external", str(folder),
         "--model", str(trained_project / paths.EXPORT)],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    assert "AUC" in completed.stdout
    assert [path.name for path in empty.rglob("*")] == ["external", "small.json"]
