"""Each stage as its real command on a tiny raw folder, against other people's results."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from src.networks import NETWORKS
from tests.conftest import PARAMS, RunStage, load_npy, run_stage_in, write_raw

SHAPE = (3, 36, 40)


def tensor(path: Path) -> torch.Tensor:
    loaded = torch.load(path, weights_only=True)
    assert isinstance(loaded, torch.Tensor)
    return loaded


def picture_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def scaled_images(data: Path, split: str) -> torch.Tensor:
    grey = torch.from_numpy(load_npy(data / f"scaled/x_{split}.npy"))
    return grey.view(-1, 1, *SHAPE[1:]).repeat(1, 3, 1, 1)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every model is trained and evaluated, to read (or to copy)."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "params.yaml").write_text(PARAMS)
    write_raw(folder / "data/raw")
    commands = [["load"], ["baselines"], ["scale"]]
    commands += [["train", name] for name in ("small", "conv", "conv_again", "conv_hot")]
    commands += [["evaluate", name] for name in ("small", "conv", "conv_hot")]
    for command in commands:
        done = run_stage_in(folder, *command)
        assert done.returncode == 0, done.stderr
        (folder / f"{'-'.join(command)}.said").write_text(done.stdout)
    return folder


def test_sample_is_a_raw_folder_split_by_slice(workspace: Path, run_stage: RunStage) -> None:
    run_stage("sample")
    folder = workspace / "data/sample"
    train, test = tensor(folder / "train_data.pt"), tensor(folder / "test_data.pt")
    assert train.shape == (8 * 4, 3, 36, 40)
    assert test.shape == (8 * 1, 3, 36, 40)
    assert torch.equal(train[:, 0], train[:, 2])
    assert torch.equal(train, (train * 255).round() / 255)
    for split, per_subject in (("train", 4), ("test", 1)):
        subjects = tensor(folder / f"{split}_subjects.pt")
        labels = tensor(folder / f"{split}_labels.pt")
        assert torch.bincount(subjects).tolist() == [per_subject] * 8
        for subject in range(8):
            assert len(labels[subjects == subject].unique()) == 1
        assert not torch.equal(subjects, subjects.sort().values)  # rows are shuffled
    assert len(json.loads((folder / "classes.json").read_text())) == 4


def test_load_flattens_and_describes(workspace: Path, raw: Path, run_stage: RunStage) -> None:
    run_stage("load")
    flat = workspace / "data/flat"
    for split, n_rows in (("train", 23), ("test", 14)):
        x = load_npy(flat / f"x_{split}.npy")  # equal channels once, grey levels as they were
        assert x.dtype == np.uint8
        images = tensor(raw / f"{split}_data.pt")
        np.testing.assert_array_equal(x / np.float32(255), images[:, 0].flatten(1).numpy())
        y = load_npy(flat / f"y_{split}.npy")
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, np.arange(n_rows) % 3)
        np.testing.assert_array_equal(
            load_npy(flat / f"subjects_{split}.npy"), np.arange(n_rows) // 3
        )
    assert json.loads((flat / "meta.json").read_text()) == {
        "image_shape": [3, 36, 40],
        "classes": ["Ill", "Sane", "Unsure"],
        "scored": ["Ill", "Sane", "Unsure"],
        "counts": {"train": [8, 8, 7], "test": [5, 5, 4]},
        "stored": {"channels": 1, "dtype": "uint8"},
    }
    assert picture_size(workspace / "plots/sample.png")[0] > 400


def test_load_takes_other_shapes_and_drops_ids_that_are_gone(
    workspace: Path, raw: Path, run_stage: RunStage
) -> None:
    run_stage("load")
    shutil.rmtree(raw)
    write_raw(raw, shape=(1, 9, 7), classes=("a", "b"), subjects=False)
    run_stage("load")
    flat = workspace / "data/flat"
    assert load_npy(flat / "x_train.npy").shape == (23, 63)
    assert not (flat / "subjects_test.npy").exists()


def test_load_stores_what_is_no_grey_slice_as_it_is(
    workspace: Path, raw: Path, run_stage: RunStage
) -> None:
    images = tensor(raw / "test_data.pt")
    images[13, 2, 3, 3] = 0.123  # one pixel of one channel of the last row
    torch.save(images, raw / "test_data.pt")
    run_stage("load")
    stored = json.loads((workspace / "data/flat/meta.json").read_text())["stored"]
    assert stored == {"channels": 3, "dtype": "float32"}
    x = load_npy(workspace / "data/flat/x_test.npy")
    np.testing.assert_array_equal(x, images.flatten(1).numpy())


def test_scale_is_scikit_learns_scaler_of_the_training_rows(finished: Path) -> None:
    data = finished / "data"
    scaler = StandardScaler()
    expected = {
        "x_train": scaler.fit_transform(tensor(data / "raw/train_data.pt").flatten(1).numpy()),
        "x_test": scaler.transform(tensor(data / "raw/test_data.pt").flatten(1).numpy()),
    }
    for name, x in expected.items():
        scaled = load_npy(data / f"scaled/{name}.npy")
        assert np.tile(scaled, 3).tobytes() == x.tobytes()
    with np.load(data / "scaler.npz", allow_pickle=False) as saved:
        np.testing.assert_allclose(saved["mean"], scaler.mean_, rtol=1e-12)
        assert saved["n_samples"] == 23


def test_train_is_plain_pytorch_and_knows_no_names(finished: Path) -> None:
    data = finished / "data"
    weights = (finished / "models/conv.safetensors").read_bytes()
    assert weights == (finished / "models/conv_again.safetensors").read_bytes()

    torch.set_num_threads(1)
    torch.manual_seed(3)
    network = NETWORKS["ConvNN2"](SHAPE, 3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    x = scaled_images(data, "train")
    y = torch.from_numpy(load_npy(data / "flat/y_train.npy"))
    for _ in range(2):
        for batch, labels in zip(x.split(4), y.split(4), strict=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(batch), labels)
            loss.backward()
            optimizer.step()
    saved = load_file(finished / "models/conv.safetensors")
    assert saved.keys() == network.state_dict().keys()
    for key, expected in network.state_dict().items():
        torch.testing.assert_close(saved[key], expected, rtol=1e-5, atol=1e-6)
    history = rows(finished / "plots/history/conv.csv")
    assert list(history[0]) == ["epoch", "train_loss", "last_batch_loss", "train_accuracy"]
    assert float(history[1]["last_batch_loss"]) == pytest.approx(loss.item(), rel=1e-4)
    made_by = json.loads((finished / "models/conv.run.json").read_text())
    assert made_by["lr"] == 0.01
    assert made_by["device"]


def test_evaluate_scores_the_test_rows(finished: Path) -> None:
    data = finished / "data"
    assert "bootstrap over subjects" in (finished / "evaluate-small.said").read_text()

    network = NETWORKS["SimpleNN2"](SHAPE, 3)
    network.load_state_dict(load_file(finished / "models/small.safetensors"))
    x = scaled_images(data, "test")
    y = load_npy(data / "flat/y_test.npy")
    with torch.no_grad():
        logits = network(x)
    predicted = logits.argmax(1).numpy()
    metrics = json.loads((finished / "metrics/small.json").read_text())
    assert list(metrics) == [
        "accuracy", "low", "high", "balanced", "macro_f1", "loss", "diverged",
    ]  # fmt: skip
    assert metrics["accuracy"] == pytest.approx((predicted == y).mean())
    assert metrics["balanced"] == pytest.approx(balanced_accuracy_score(y, predicted))
    assert metrics["macro_f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(y))
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert metrics["diverged"] is False
    names = ["Ill", "Sane", "Unsure"]
    assert rows(finished / "plots/confusion/small.csv") == [
        {"actual": names[a], "predicted": names[p]} for a, p in zip(y, predicted, strict=True)
    ]


def test_a_diverged_model_names_class_0_and_has_no_loss(finished: Path) -> None:
    (epoch,) = rows(finished / "plots/history/conv_hot.csv")
    assert math.isnan(float(epoch["train_loss"]))
    metrics = json.loads((finished / "metrics/conv_hot.json").read_text())
    assert metrics["diverged"] is True
    assert "loss" not in metrics
    assert metrics["accuracy"] == pytest.approx(5 / 14)  # the share of class 0
    confusion = rows(finished / "plots/confusion/conv_hot.csv")
    assert {row["predicted"] for row in confusion} == {"Ill"}


def test_compare_shows_the_models_of_params_and_no_other(
    finished: Path, workspace: Path, run_stage: RunStage
) -> None:
    shutil.copytree(finished, workspace, dirs_exist_ok=True)
    params = workspace / "params.yaml"
    text = params.read_text()
    small, conv, again, hot, studies = (
        text.index(name)
        for name in ("  small:", "  conv:", "  conv_again:", "  conv_hot:", "studies:")
    )
    rest = text[studies:].replace("model: small", "model: conv")
    params.write_text(text[:small] + text[conv:again] + text[hot:studies] + rest)
    run_stage("compare")
    history = rows(workspace / "plots/history.csv")
    assert [(row["model"], row["epoch"]) for row in history] == [
        ("conv", "0"),
        ("conv", "1"),
        ("conv_hot", "0"),
    ]
    before = (workspace / "plots/accuracy.png").read_bytes()
    assert picture_size(workspace / "plots/learning_rate.png")[1] > 400
    params.write_text(text[:small] + text[conv:again] + rest)
    run_stage("compare")
    assert {row["model"] for row in rows(workspace / "plots/history.csv")} == {"conv"}
    assert (workspace / "plots/accuracy.png").read_bytes() != before


def test_on_the_shipped_sample_a_learning_rate_of_10_diverges(
    repo: Path, workspace: Path, run_stage: RunStage
) -> None:
    shutil.copy(repo / "params.yaml", workspace)
    for command in (["sample"], ["load"], ["scale"], ["train", "conv_nn4"]):
        run_stage(*command)
    (epoch,) = rows(workspace / "plots/history/conv_nn4.csv")
    assert math.isnan(float(epoch["train_loss"]))


@pytest.fixture
def image_set(workspace: Path) -> Path:
    """The public layout in small: 2 classes of 3 subjects x 5 slices, slices 4 and 5 in test."""
    rng = np.random.default_rng(0)
    top = workspace / "download/Some Dataset"
    for name in ("Ill", "Sane"):
        for split in ("train", "test"):
            (top / split / name).mkdir(parents=True)
        files = [f"train/{name}/x{i}.jpg" for i in range(9)]
        files += [f"test/{name}/{s}{k}.jpg" for s in (4, 5) for k in ("", " (2)", " (3)")]
        for file in files:
            Image.fromarray(rng.integers(0, 256, (20, 16), np.uint8)).save(top / file)
    (top / "train/Ill/Thumbs.db").write_bytes(b"no image")
    return top


def test_images_makes_the_raw_folder_of_a_zip_or_a_folder(
    workspace: Path, image_set: Path, run_stage: RunStage
) -> None:
    shutil.make_archive(str(workspace / "set"), "zip", image_set.parent)
    said = run_stage("images", "set.zip").stdout
    assert "subjects: 6, from the file names" in said
    run_stage("images", str(image_set), "--out", "unpacked")
    run_stage("images", "set.zip", "--out", "reordered", "--seed", "1")
    raw = workspace / "data/raw"
    files = sorted(path.name for path in raw.iterdir())
    assert files == sorted(path.name for path in (workspace / "unpacked").iterdir())
    for file in files:
        assert (raw / file).read_bytes() == (workspace / "unpacked" / file).read_bytes()

    x, y = tensor(raw / "train_data.pt"), tensor(raw / "train_labels.pt")
    subjects = tensor(raw / "train_subjects.pt")
    assert x.shape == (18, 3, 20, 16)
    # Row by row the pixels of one file, whose label and subject are that file's.
    by_pixels = {}
    for label, name in enumerate(("Ill", "Sane")):
        for i in range(9):
            grey = np.asarray(Image.open(image_set / f"train/{name}/x{i}.jpg"))
            by_pixels[(grey / np.float32(255)).astype(np.float32).tobytes()] = (label, i)
    order = []
    for row in range(18):
        label, i = by_pixels[x[row, 1].numpy().tobytes()]
        assert y[row] == label
        assert subjects[row] == 3 * label + [1, 2, 0][i % 3]  # string order: (2), (3), none
        order.append((label, i))
    assert order != sorted(order)
    assert not torch.equal(tensor(workspace / "reordered/train_data.pt"), x)


def test_images_without_the_numbering_has_no_subjects(
    workspace: Path, image_set: Path, run_stage: RunStage
) -> None:
    (image_set / "test/Sane/4.jpg").rename(image_set / "test/Sane/other.jpg")
    said = run_stage("images", str(image_set)).stdout
    assert "subjects: none (Sane: test file other.jpg" in said
    assert not (workspace / "data/raw/train_subjects.pt").exists()
    write = tensor(workspace / "data/raw/test_labels.pt")
    assert torch.bincount(write).tolist() == [6, 6]


def test_evaluate_refuses_weights_of_another_network(
    finished: Path, workspace: Path, stage_error: Callable[..., str]
) -> None:
    shutil.copytree(finished, workspace, dirs_exist_ok=True)
    save_file({"weight": torch.zeros(3)}, workspace / "models/small.safetensors")
    said = stage_error("evaluate", "small")
    assert "models/small.safetensors: no weights of this network" in said
