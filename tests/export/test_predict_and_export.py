"""A trained model outside the pipeline: mri-stages predict, and the folder of stages.export."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from tests.helpers.params import ONE_MODEL, change_params, write_params
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import call_stage

from mri_stages import paths
from mri_stages.commands import predict
from mri_stages.errors import InputError
from mri_stages.storage.predictions import read_predictions

CLASSES = ["Ill", "Sane", "Unsure"]
STAGES = (
    *("load", "neighbours", "leakage", "baselines", "scale", "train small"),
    *("evaluate small", "cross_validate small", "summarise small", "export"),
)
Run = Callable[..., list[dict[str, str]]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace with the outs of all stages up to `export`, of colour images."""
    folder = tmp_path_factory.mktemp("trained")
    write_params(folder, ONE_MODEL)
    write_raw(folder / "data/raw")
    for split, n_rows in (("train", 23), ("test", 14)):
        grey_levels = torch.randint(
            0, 256, (n_rows, 3, 36, 40), generator=torch.Generator().manual_seed(n_rows)
        )
        torch.save(grey_levels.to(torch.float32) / 255, folder / f"data/raw/{split}_data.pt")
    for stage in STAGES:
        call_stage(folder, *stage.split())
    return folder


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run mri-stages predict in the workspace; return the rows of its table."""
    monkeypatch.chdir(trained)

    def run(*arguments: object) -> list[dict[str, str]]:
        table = tmp_path / "table.csv"
        predict.main([*map(str, arguments), "--csv", str(table)])
        with table.open(newline="") as file:
            return list(csv.DictReader(file))

    return run


def save_images(folder: Path) -> list[Path]:
    """Write the test images as files; return their paths in order of the rows."""
    images = torch.load(folder / "data/raw/test_data.pt")
    files = [folder / f"images/{row:02}.png" for row in range(len(images))]
    files[0].parent.mkdir(exist_ok=True)
    for file, image in zip(files, images, strict=True):
        levels = (255 * image).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(levels).save(file)
    return files


@pytest.mark.parametrize("model", ["small", "models/export"])
@pytest.mark.parametrize("kind", ["tensor", "folder"])
def test_predict_gives_the_probabilities_of_evaluate(
    trained: Path, run: Run, model: str, kind: str
) -> None:
    files = save_images(trained)
    tensor = Path("data/raw/test_data.pt")
    rows = run(model, tensor if kind == "tensor" else "images")
    expected = read_predictions(trained / paths.predictions("small"), CLASSES)
    assert [list(row) for row in rows] == [["file", "predicted", *(f"p_{c}" for c in CLASSES)]] * 14
    names = [f"images/{file.name}" for file in files]
    assert [row["file"] for row in rows] == (
        [f"{tensor}:{i}" for i in range(14)] if kind == "tensor" else names
    )
    assert [row["predicted"] for row in rows] == [CLASSES[k] for k in expected.predicted]
    found = np.array([[row[f"p_{c}"] for c in CLASSES] for row in rows], np.float32)
    if model == "small":
        np.testing.assert_array_equal(found, expected.probabilities)
    np.testing.assert_allclose(found, expected.probabilities, atol=1e-5)


def test_predict_needs_only_weights_scaler_and_info(
    trained: Path, run: Run, tmp_path: Path
) -> None:
    everything = run("small", trained / "data/raw/test_data.pt")
    for file in (paths.weights("small"), paths.SCALER, paths.INFO, paths.PARAMS):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trained / file, tmp_path / file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert run("small", trained / "data/raw/test_data.pt") == everything


def test_predict_averages_over_the_images_of_a_subject(
    trained: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = save_images(trained)[:3]
    table = tmp_path / "ids.csv"
    table.write_text(
        "file,subject\n" + "".join(f"{f},{k}\n" for f, k in zip(files, "aba", strict=True))
    )
    rows = run("small", *files, "--subjects", table)
    line = next(line for line in capsys.readouterr().out.splitlines() if "subject a, 2" in line)
    mean = np.mean([float(rows[i]["p_Ill"]) for i in (0, 2)])
    assert f"Ill {mean:.3f}" in line
    table.write_text(f"file,subject\n{files[0]},a\n")
    with pytest.raises(InputError, match=r"ids\.csv.*2 of 3"):
        run("small", *files, "--subjects", table)


def test_predict_resizes_on_request_and_else_names_the_option(
    trained: Path, run: Run, tmp_path: Path
) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (80, 72), (9, 99, 200)).save(large)
    with pytest.raises(InputError, match=r"large\.png: 72 x 80 .*--resize 36 40"):
        run("small", large)
    with pytest.raises(InputError, match=r"large\.png: .*--resize 36 40"):
        run("small", large, "--resize", 36, 36)
    assert len(run("small", large, "--resize", 36, 40)) == 1


@pytest.mark.parametrize("model", ["small", "models/export"])
def test_predict_warns_of_images_on_another_scale(
    trained: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    run(model, "data/raw/test_data.pt")
    assert "warning" not in capsys.readouterr().out
    torch.save(255 * torch.load(trained / "data/raw/test_data.pt"), tmp_path / "bytes.pt")
    run(model, tmp_path / "bytes.pt")
    assert "warning: 14 of 14" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["other", "data/raw"], "other"),
        (["small", "nowhere.png"], r"nowhere\.png"),
        (["small", "models"], "models"),  # no image in it
        (["small", "data/raw/train_labels.pt"], r"train_labels\.pt"),
        (["data", "data/raw/test_data.pt"], r"data/model\.json"),
        (["small", "params.yaml"], r"params\.yaml"),
    ],
)
def test_predict_of_a_wrong_argument_names_it(run: Run, arguments: list[str], named: str) -> None:
    with pytest.raises(InputError, match=named):
        run(*arguments)


def test_predict_refuses_a_model_that_diverged(trained: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "diverged")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "diverged")
        change_params(Path.cwd(), {"models.small.lr": 1e30})
        call_stage(Path.cwd(), "train", "small")
        with pytest.raises(InputError, match=r"small\.safetensors.*diverged"):
            run("small", "data/raw/test_data.pt")


def test_export_describes_the_model_and_takes_any_number_of_images(trained: Path) -> None:
    described = json.loads((trained / "models/export/model.json").read_text())
    assert described["classes"] == CLASSES
    assert described["input"]["shape"] == [3, 36, 40]
    assert described["input"]["range"] == [0.0, 1.0]
    for split, path in (
        ("given_split", paths.metrics("small")),
        ("new_subjects", paths.new_subject_metrics("small")),
    ):
        assert described["metrics"][split] == json.loads((trained / path).read_text())
    card = (trained / "models/export/card.md").read_text()
    assert all(name in card for name in CLASSES)
    session = onnxruntime.InferenceSession(trained / "models/export/model.onnx")
    assert session.get_outputs()[0].name == "probabilities"
    for n_images in (1, 5):
        image = np.full((n_images, 3, 36, 40), 0.5, np.float32)
        found = session.run(None, {"image": image})[0]
        assert found.shape == (n_images, 3)
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_export_has_the_same_bytes_in_another_folder_and_names_no_folder(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "another")
    call_stage(tmp_path / "another", "export")
    for name in ("model.onnx", "model.json", "card.md"):
        content = (trained / "models/export" / name).read_bytes()
        assert (tmp_path / "another/models/export" / name).read_bytes() == content
        assert b".py" not in content.replace(b"mri-stages predict", b"")
    onnx.checker.check_model(onnx.load(trained / "models/export/model.onnx"))


def test_export_that_disagrees_with_evaluate_writes_nothing(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "changed")
    shutil.rmtree(tmp_path / "changed/models/export")
    weights = tmp_path / "changed" / paths.predictions("small")
    weights.write_text(weights.read_text().replace(",0.", ",0.0"))
    with pytest.raises(InputError, match=r"model\.onnx"):
        call_stage(tmp_path / "changed", "export")
    assert not (tmp_path / "changed/models/export").exists()


def test_predict_refuses_image_files_for_a_model_of_other_pixels(
    trained: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(trained / "models/export", tmp_path / "export")
    described = tmp_path / "export/model.json"
    content = json.loads(described.read_text())
    content["input"]["range"] = [0.0, 255.0]
    described.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"00\.png: .* from 0 to 1"):
        run(described.parent, save_images(trained)[0])
    assert len(run(described.parent, "data/raw/test_data.pt")) == 14
