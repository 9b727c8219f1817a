"""`mri-stages predict`: its lines, its warning, and its table."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mri_stages import paths
from mri_stages.commands import predict
from mri_stages.commands.predict import check_files, parse_arguments
from mri_stages.commands.predict_files import format_prediction, list_scale_warnings
from mri_stages.errors import InputError
from mri_stages.export.outputs import Outputs
from mri_stages.ingest.import_options import ImportOptions, write_import_options
from mri_stages.storage.file_counts import FileCounts
from mri_stages.storage.predictions import Predictions, read_predictions
from tests.helpers.project import REPO
from tests.helpers.stages import call_stage
from tests.helpers.trained_project import (
    CLASSES,
    IMAGE_SHAPE,
    N_TEST,
    TEST_TENSOR,
    save_test_images,
)

Table = list[dict[str, str]]
Run = Callable[..., Table]
MODELS = ("small", "models/export")


@pytest.fixture
def run(trained_project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run mri-stages predict in the trained project; return the rows of its table."""
    monkeypatch.chdir(trained_project)

    def run(*arguments: object) -> Table:
        table = tmp_path / "table.csv"
        predict.main([*map(str, arguments), "--csv", str(table)])
        with table.open(newline="") as file:
            return list(csv.DictReader(file))

    return run


@pytest.fixture
def expected(trained_project: Path) -> Predictions:
    """Return what `evaluate` predicted for the test rows."""
    return read_predictions(trained_project / paths.predictions("small"), CLASSES)


def list_probabilities(table: Table) -> np.ndarray:
    return np.array([[row[f"p_{name}"] for name in CLASSES] for row in table], np.float32)


def make_outputs(mean: list[float], deviation: list[float]) -> Outputs:
    probabilities = np.full((len(mean), 2), 0.5, np.float32)
    return Outputs(probabilities, np.array(mean, np.float32), np.array(deviation, np.float32))


def test_predict_by_name_gives_evaluates_numbers(run: Run, expected: Predictions) -> None:
    np.testing.assert_array_equal(
        list_probabilities(run("small", TEST_TENSOR)), expected.probabilities
    )


@pytest.mark.parametrize("model", MODELS)
def test_predict_takes_a_folder_of_images(
    trained_project: Path, run: Run, tmp_path: Path, expected: Predictions, model: str
) -> None:
    files = save_test_images(trained_project, tmp_path / "images")
    table = run(model, tmp_path / "images")
    assert [row["file"] for row in table] == [str(file) for file in files]
    np.testing.assert_allclose(list_probabilities(table), expected.probabilities, atol=1e-5)


def test_predict_names_the_rows_of_a_tensor(run: Run) -> None:
    table = run("models/export", TEST_TENSOR)
    assert [row["file"] for row in table] == [f"{TEST_TENSOR}:{row}" for row in range(N_TEST)]


def test_predict_names_the_most_likely_class(run: Run) -> None:
    table = run("small", TEST_TENSOR)
    assert list(table[0]) == ["file", "predicted", *(f"p_{name}" for name in CLASSES)]
    most_likely = list_probabilities(table).argmax(axis=1)
    assert len(set(most_likely)) > 1
    assert [row["predicted"] for row in table] == [CLASSES[label] for label in most_likely]


def test_predict_needs_only_the_model_files(
    trained_project: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = run("small", trained_project / TEST_TENSOR)
    files = (paths.weights("small"), paths.SCALER, paths.INFO, paths.IMPORT_OPTIONS, paths.PARAMS)
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trained_project / file, tmp_path / file)
    monkeypatch.chdir(tmp_path)
    assert run("small", trained_project / TEST_TENSOR) == everything


def test_predict_of_an_export_runs_in_any_folder(trained_project: Path, tmp_path: Path) -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "mri_stages", "predict",
         str(trained_project / "models/export"), str(trained_project / TEST_TENSOR)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    assert len(completed.stdout.splitlines()) == N_TEST


def test_predict_prints_the_mean_of_a_subject(
    trained_project: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = save_test_images(trained_project, tmp_path / "images")[:3]
    table = tmp_path / "ids.csv"
    table.write_text(f"file,subject\n{files[0]},a\n{files[1]},b\n{files[2]},a\n")
    rows = run("small", *files, "--subjects", table)
    mean = list_probabilities([rows[0], rows[2]]).mean(axis=0)
    assert format_prediction("subject a, 2 images", mean, CLASSES) in capsys.readouterr().out


def test_predict_of_a_file_without_a_subject_fails(
    trained_project: Path, run: Run, tmp_path: Path
) -> None:
    files = save_test_images(trained_project, tmp_path / "images")[:3]
    table = tmp_path / "ids.csv"
    table.write_text(f"file,subject\n{files[0]},a\n")
    with pytest.raises(InputError, match=r"ids\.csv.*2 of 3") as caught:
        run("small", *files, "--subjects", table)
    assert str(files[1]) in str(caught.value)
    # Every option that the line names is one of predict.
    parse_arguments(["small", "1.png", *re.findall(r"--\S+", str(caught.value)), str(table)])


def test_predict_resizes_on_request(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (80, 72), (9, 99, 200)).save(tmp_path / "large.png")
    assert len(run("small", tmp_path / "large.png", "--resize", 36, 40)) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["other", "data/raw"], "other"),
        (["small", "nowhere.png"], r"nowhere\.png"),
        (["small", "data/raw/train_labels.pt"], r"train_labels\.pt"),
        (["data", str(TEST_TENSOR)], r"data/model\.json"),
        (["small", "params.yaml"], r"params\.yaml"),
    ],
)
def test_predict_of_a_wrong_argument_names_it(run: Run, arguments: list[str], named: str) -> None:
    with pytest.raises(InputError, match=named):
        run(*arguments)


def test_predict_takes_files_behind_an_option(run: Run) -> None:
    assert len(run("small", TEST_TENSOR, "--fit", "stretch", TEST_TENSOR)) == 2 * N_TEST


def test_predict_of_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1\.png: no such file"):
        check_files([str(tmp_path), str(tmp_path / "1.png")])


def test_predict_of_an_npz_file_names_the_commands_that_take_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", test_images=np.zeros((1, 36, 40), np.uint8))
    with pytest.raises(InputError, match=r"set\.npz: .*\.pt.*mri-stages import"):
        check_files([str(tmp_path / "set.npz")])


@pytest.mark.parametrize("model", MODELS)
def test_predict_of_training_pixels_does_not_warn(
    run: Run, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    run(model, TEST_TENSOR)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("model", MODELS)
def test_predict_of_another_scale_warns(
    trained_project: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    torch.save(255 * torch.load(trained_project / TEST_TENSOR), tmp_path / "bytes.pt")
    run(model, tmp_path / "bytes.pt")
    output = capsys.readouterr()
    assert f"warning: {N_TEST} of {N_TEST}" in output.err
    assert len(output.out.splitlines()) == N_TEST


@pytest.mark.parametrize(
    ("mean", "deviation"), [(2.1, 1), (-2.1, 1), (0, 0.09), (0, 4.1), (np.nan, 1), (0, np.nan)]
)
def test_warning_names_the_first_unusual_image(mean: float, deviation: float) -> None:
    outputs = make_outputs([0, mean, 1.9], [1, deviation, 3.9])
    (line,) = list_scale_warnings(["a.png", "b.png", "c.png"], outputs)
    assert line.startswith("warning: 1 of 3 ")
    assert "b.png" in line


def test_no_warning_of_usual_images() -> None:
    assert list_scale_warnings(["a", "b"], make_outputs([1.9, -1.9], [0.11, 3.9])) == []


@pytest.fixture
def imported_project(trained_project: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained project, as if its images had been imported with a resize."""
    project = shutil.copytree(trained_project, tmp_path / "imported")
    options = ImportOptions(resize=IMAGE_SHAPE[1:])
    counts = FileCounts(seen=1, taken=1, left_out={})
    write_import_options(project / paths.DETAILS, options, counts)
    call_stage(project, "export")
    return project


@pytest.mark.parametrize("model", MODELS)
def test_predict_resizes_as_the_import_did(
    imported_project: Path, run: Run, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.chdir(imported_project)
    Image.new("RGB", (80, 72), (9, 99, 200)).save("large.png")
    assert len(run(model, "large.png")) == 1


@pytest.mark.parametrize("model", MODELS)
def test_predict_with_another_option_names_both(
    imported_project: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
) -> None:
    monkeypatch.chdir(imported_project)
    Image.new("RGB", (80, 72), (9, 99, 200)).save("large.png")
    run(model, "large.png", "--resize", 36, 40, "--fit", "crop")
    output = capsys.readouterr()
    assert "--fit crop" in output.err
    assert "--fit stretch" in output.err
    assert "--resize" not in output.err
    assert len(output.out.splitlines()) == 1


def test_predict_of_a_scan_of_12_bits_says_so(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disc = np.linspace(0, 4095, 36 * 40).astype(np.uint16).reshape(36, 40)
    Image.fromarray(disc).save(tmp_path / "scan.png")
    run("small", tmp_path / "scan.png")
    first_line = capsys.readouterr().err.splitlines()[0]
    assert "scan.png" in first_line
    assert "12 bits" in first_line


def test_predict_writes_no_table_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "1.png").touch()
    with pytest.raises(InputError, match="--csv"):
        predict.main(["small", str(tmp_path / "1.png"), "--csv", str(tmp_path)])
    assert (tmp_path / "1.png").exists()


def test_predict_writes_no_table_in_place_of_an_image(tmp_path: Path) -> None:
    image = tmp_path / "1.png"
    Image.new("L", (4, 4)).save(image)
    before = image.read_bytes()
    with pytest.raises(InputError, match=r"--csv .*1\.png"):
        predict.main(["small", str(image), "--csv", str(image)])
    assert image.read_bytes() == before


def test_predict_writes_a_table_again(run: Run) -> None:
    table = run("small", TEST_TENSOR)
    assert run("small", TEST_TENSOR) == table
