"""Files that a person wants predicted, read as a model takes them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mri_stages.errors import InputError
from mri_stages.export.model_inputs import list_files, read_inputs
from mri_stages.export.onnx_file import Outputs
from mri_stages.export.trained_model import TrainedModel


def make_model(channels: int = 3, has_unit_range: bool = True) -> TrainedModel:
    """Return a model of images of 4 x 5 pixels that nobody asks for outputs."""

    def compute_outputs(images: np.ndarray) -> Outputs:
        raise NotImplementedError

    return TrainedModel(["a", "b"], (channels, 4, 5), has_unit_range, compute_outputs)


def save_image(path: Path, mode: str = "RGB", size: tuple[int, int] = (5, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 51 if mode == "L" else (51, 102, 255)).save(path)
    return path


def test_list_files_sorts_a_folder(tmp_path: Path) -> None:
    files = [save_image(tmp_path / name) for name in ("b.png", "a/c.JPG", "a/b.png")]
    assert list_files([str(tmp_path)]) == files[::-1]


@pytest.mark.parametrize("name", [".a.png", ".hidden/a.png", "a.txt"])
def test_list_files_leaves_hidden_and_other_files_out(tmp_path: Path, name: str) -> None:
    visible = save_image(tmp_path / "visible.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert list_files([str(tmp_path)]) == [visible]


def test_list_files_keeps_a_named_hidden_file(tmp_path: Path) -> None:
    assert list_files([str(tmp_path / ".a.png")]) == [tmp_path / ".a.png"]


def test_list_files_of_an_empty_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image"):
        list_files([str(tmp_path)])


def test_read_inputs_of_a_colour_image(tmp_path: Path) -> None:
    (image,) = read_inputs([save_image(tmp_path / "a.png")], make_model(), None)
    assert image.name == str(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels[:, 0, 0], np.array([51, 102, 255], np.float32) / 255)


def test_read_inputs_of_a_grey_image(tmp_path: Path) -> None:
    (image,) = read_inputs([save_image(tmp_path / "a.png", "L")], make_model(channels=1), None)
    np.testing.assert_array_equal(image.pixels, np.full((1, 4, 5), 0.2, np.float32))


def test_read_inputs_of_a_colour_for_grey_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="colour"):
        list(read_inputs([save_image(tmp_path / "a.png")], make_model(channels=1), None))


def test_read_inputs_of_another_size_names_the_option(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png", size=(10, 8))
    with pytest.raises(InputError, match=r"a\.png: 8 x 10 .*--resize 4 5"):
        list(read_inputs([file], make_model(), None))


def test_read_inputs_resizes(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png", size=(10, 8))
    (image,) = read_inputs([file], make_model(), [4, 5])
    assert image.pixels.shape == (3, 4, 5)


def test_read_inputs_of_an_image_for_other_pixels_fails(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: .* from 0 to 1"):
        list(read_inputs([file], make_model(has_unit_range=False), None))


def test_read_inputs_of_a_tensor_for_other_pixels(tmp_path: Path) -> None:
    tensor = 255 * torch.rand(2, 3, 4, 5)
    torch.save(tensor, tmp_path / "a.pt")
    images = list(read_inputs([tmp_path / "a.pt"], make_model(has_unit_range=False), None))
    assert [image.name for image in images] == [f"{tmp_path}/a.pt:0", f"{tmp_path}/a.pt:1"]
    np.testing.assert_array_equal(np.stack([image.pixels for image in images]), tensor.numpy())


def test_read_inputs_of_a_tensor_of_another_shape_fails(tmp_path: Path) -> None:
    torch.save(torch.rand(2, 3, 5, 4), tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"a\.pt: .*\(2, 3, 5, 4\)"):
        list(read_inputs([tmp_path / "a.pt"], make_model(), None))
