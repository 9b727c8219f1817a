"""Bad input to a command ends in one line, status 1, and nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import PARAMS, RunStage, write_raw

StageError = Callable[..., str]


@pytest.mark.parametrize("stage", ["sample", "load", "scale", "train", "evaluate", "compare"])
def test_every_stage_checks_the_whole_params_file(
    workspace: Path, stage_error: StageError, stage: str
) -> None:
    (workspace / "params.yaml").write_text(PARAMS.replace("lr: 1e30", "lr: hot"))
    arguments = ["small"] if stage in ("train", "evaluate") else []
    assert "models.conv_hot.lr is 'hot'" in stage_error(stage, *arguments)


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_an_unknown_model_lists_the_known_ones(stage_error: StageError, stage: str) -> None:
    assert "no 'smal', expected one of small, conv" in stage_error(stage, "smal")


def test_a_missing_argument_is_one_line_too(stage_error: StageError) -> None:
    assert "the following arguments are required: model" in stage_error("train")


def test_load_without_a_raw_folder(stage_error: StageError) -> None:
    assert "data/raw: no such folder" in stage_error("load")


def test_load_of_a_pixel_that_is_nan_keeps_the_last_good_outs(
    workspace: Path, raw: Path, run_stage: RunStage, stage_error: StageError
) -> None:
    run_stage("load")
    good = (workspace / "data/flat/x_test.npy").read_bytes()
    images = torch.load(raw / "test_data.pt", weights_only=True)
    images[9, 2, 5, 5] = torch.nan
    torch.save(images, raw / "test_data.pt")
    assert "test_data.pt: row 9 holds NaN or infinity" in stage_error("load")
    assert (workspace / "data/flat/x_test.npy").read_bytes() == good


@pytest.mark.parametrize("stage", ["scale", "train", "evaluate", "compare"])
def test_a_stage_without_its_inputs_names_them(stage_error: StageError, stage: str) -> None:
    arguments = ["small"] if stage in ("train", "evaluate") else []
    assert "no such file" in stage_error(stage, *arguments)


def test_an_image_too_small_for_a_network(
    workspace: Path, run_stage: RunStage, stage_error: StageError
) -> None:
    write_raw(workspace / "data/raw", shape=(3, 35, 60))
    run_stage("load")
    run_stage("scale")
    said = stage_error("train", "conv")
    assert "ConvNN2: images of 35 x 60 pixels are too small, expected at least 36 x 36" in said


@pytest.mark.parametrize(
    ("files", "fragment"),
    [
        ([], "expected folders train and test"),
        (["train/a/0.png", "train/b/0.png"], "expected folders train and test"),
        (["train/a/0.png", "test/a/1.png"], "the same two or more in both"),
        (["train/a/0.png", "train/b/0.png", "test/a/1.png"], "the same two or more in both"),
        (
            ["train/a/0.png", "train/b/0.txt", "test/a/1.png", "test/b/1.png"],
            "train/b: no image",
        ),
    ],
)
def test_images_of_another_layout(
    workspace: Path, stage_error: StageError, files: list[str], fragment: str
) -> None:
    (workspace / "set").mkdir()
    for file in files:
        path = workspace / "set" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path, format="png")
    assert fragment in stage_error("images", "set")


def test_images_that_are_none_or_of_another_size(workspace: Path, stage_error: StageError) -> None:
    for file in ("train/a/0", "train/b/0", "test/a/1", "test/b/1"):
        path = workspace / f"set/{file}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    Image.new("L", (8, 9)).save(workspace / "set/test/b/1.png")
    assert "1.png: 9 x 8 pixels, expected 8 x 8" in stage_error("images", "set")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(workspace / "set/test/b/1.png")
    assert "1.png: pixels of mode I;16" in stage_error("images", "set")
    (workspace / "set/test/b/1.png").write_text("no image")
    assert "1.png: cannot be read as an image" in stage_error("images", "set")


def test_images_of_no_archive_or_onto_something(workspace: Path, stage_error: StageError) -> None:
    (workspace / "set.zip").write_text("no zip")
    assert "set.zip: no whole zip archive" in stage_error("images", "set.zip")
    assert "gone.zip: no such file" in stage_error("images", "gone.zip")
    (workspace / "data/raw").mkdir(parents=True)
    assert "data/raw: exists" in stage_error("images", "set.zip")
