"""Use a trained model: from pixels to the probabilities of the classes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, BaseModel, Field, FiniteFloat

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.errors import InputError
from mri_stages.export.export_folder import DESCRIPTION_FILE, ONNX_FILE, load_scaled_network
from mri_stages.export.onnx_file import ScaledNetwork, open_onnx, run_onnx
from mri_stages.export.outputs import ComputeBatch, Outputs, compute_outputs, iterate_pixels
from mri_stages.export.row_set import lies_in_unit_range
from mri_stages.ingest.import_options import ImportOptions, ImportRecord
from mri_stages.storage.arrays import Shape, StorageFormat, read_rows
from mri_stages.storage.dataset import Info, read_info
from mri_stages.storage.files import read_json
from mri_stages.training.device import set_up_device
from mri_stages.training.layout import choose_batch_layout
from mri_stages.training.predict import drop_needless_work, predict_logits


def check_order(pixel_range: tuple[float, float]) -> tuple[float, float]:
    """Return the range; ValueError if its first end is above its second."""
    low, high = pixel_range
    if low > high:
        raise ValueError(f"{low:g} to {high:g}, expected the lower end first")
    return pixel_range


class ModelInput(BaseModel):
    """The images that a model takes."""

    shape: Shape
    # The darkest and the brightest pixel of the training images.
    range: Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(check_order)]


class ExportDescription(BaseModel):
    """What is read back of an export folder's model.json."""

    name: str = "model"
    classes: list[str] = Field(min_length=2)  # in label order
    input: ModelInput
    # A folder of an earlier version has none: then its images were read without options.
    import_options: ImportOptions = Field(alias="import", default=ImportOptions())


class StoredFormat(BaseModel):
    """What `load` wrote to info.json of how the rows are stored."""

    stored: StorageFormat


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with its scaler, of params.yaml or of an export folder."""

    name: str
    file: Path  # of its weights
    classes: list[str]  # in label order
    image_shape: Shape  # channels, height, width
    # Whether the training pixels were from 0 to 1, as those of image files are.
    has_unit_range: bool
    # How the training images were read, and the file that says so.
    import_options: ImportOptions
    options_file: Path
    compute_batch: ComputeBatch

    def compute_outputs(self, images: Iterable[NDArray[np.float32]]) -> Outputs:
        """Return the outputs for one or more images (C, H, W) on the scale of training."""
        return compute_outputs(self.compute_batch, images)

    def hash_file(self) -> str:
        """Return the SHA-256 of the file of the weights, which names this very model."""
        return sha256(self.file.read_bytes()).hexdigest()


def load_model(name: str | Path) -> TrainedModel:
    """Return a model of params.yaml by its name, or the model in an export folder."""
    folder = Path(name)
    if folder.is_dir():
        return load_exported_model(folder)
    return load_model_of_params(str(name))


def load_exported_model(folder: Path) -> TrainedModel:
    """Return the model in an export folder, such as models/export."""
    description = read_json(folder / DESCRIPTION_FILE, ExportDescription)
    session = open_onnx(folder / ONNX_FILE)

    return TrainedModel(
        name=description.name,
        file=folder / ONNX_FILE,
        classes=description.classes,
        image_shape=description.input.shape,
        has_unit_range=lies_in_unit_range(*description.input.range),
        import_options=description.import_options,
        options_file=folder / DESCRIPTION_FILE,
        compute_batch=lambda images: run_onnx(session, images),
    )


def load_model_of_params(name: str) -> TrainedModel:
    """Return a model of the params.yaml in the current folder."""
    params = read_params()
    info = read_info()
    if name not in params.models:
        known_names = ", ".join(params.models)
        raise InputError(
            f"{name}: no folder and no model of params.yaml, expected one of {known_names}"
        )
    device = set_up_device(params.models[name].threads)
    scaled_network = load_scaled_network(name, params, info).to(device)
    network = PredictingNetwork(scaled_network, stores_equal_channels_once(info))

    @torch.inference_mode()
    def compute_batch(images: NDArray[np.float32]) -> Outputs:
        tensors = network(torch.from_numpy(images).to(device))
        return Outputs(*(tensor.cpu().numpy() for tensor in tensors))

    return TrainedModel(
        name=name,
        file=paths.weights(name),
        classes=info.classes,
        image_shape=info.image_shape,
        has_unit_range=has_unit_range(info),
        import_options=read_json(paths.IMPORT_OPTIONS, ImportRecord).options,
        options_file=paths.IMPORT_OPTIONS,
        compute_batch=compute_batch,
    )


class PredictingNetwork(ScaledNetwork):
    """A network with its scaler whose logits have the bits that `evaluate` computes."""

    def __init__(self, scaled_network: ScaledNetwork, has_equal_channels: bool) -> None:
        """Prepare it. has_equal_channels: whether `evaluate` reads the channels of its rows once.

        Where one row of data/flat has colours, `evaluate` reads all channels of all rows.
        """
        super().__init__(scaled_network.network, scaled_network.mean, scaled_network.scale)
        channels, height, width = scaled_network.mean.shape
        stored_channels = 1 if has_equal_channels else channels
        grey_image = torch.zeros(1, stored_channels, height, width).expand(-1, channels, -1, -1)
        # Both are asked once for all batches: only shape and dtype of the images count.
        self.layout = choose_batch_layout(self.network, grey_image)
        self.grey_network, read_image = drop_needless_work(self.network, grey_image)
        self.n_grey_channels = read_image.shape[1]

    def compute_logits(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, K), on the CPU, of scaled images (n, C, H, W), n at most 16.

        If all channels of all images are equal, they are read once where `evaluate` does so.
        """
        if has_equal_values_in_channels(scaled):
            grey_images = scaled[:, : self.n_grey_channels]
            return predict_logits(self.grey_network, grey_images, layout=self.layout)
        return predict_logits(self.network, scaled, layout=self.layout)


def has_equal_values_in_channels(images: torch.Tensor) -> bool:
    """Return whether all channels of images (n, C, H, W) have equal values."""
    return torch.equal(images, images[:, :1].expand_as(images))


def stores_equal_channels_once(info: Info) -> bool:
    """Return whether data/flat has one channel for the equal ones of all rows."""
    return read_json(paths.INFO, StoredFormat).stored.channels < info.image_shape[0]


def has_unit_range(info: Info) -> bool:
    """Return whether the training pixels of data/flat lie from 0 to 1."""
    if read_json(paths.INFO, StoredFormat).stored.dtype == "uint8":
        return True  # grey levels k for pixels k/255
    rows = read_rows(paths.flat_images("train"), info.image_shape)
    return lies_in_unit_range(float(rows.min()), float(rows.max()))


def predict(model: TrainedModel, images: ArrayLike) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of the model's classes for images (N, C, H, W).

    images: pixels on the scale of the training images, without the scaler, which the model has;
    uint8 grey levels k stand for k/255. InputError if they have another shape, or if an image
    holds NaN or infinity.
    """
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu()
    stored = np.asarray(images)
    check_shape(stored, model.image_shape)
    return model.compute_outputs(iterate_finite_pixels(stored)).probabilities


def iterate_finite_pixels(stored: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """Yield images (N, C, H, W) one by one; InputError if one is not finite."""
    for index, pixels in enumerate(iterate_pixels(stored)):
        image = pixels.astype(np.float32)
        if not np.isfinite(image).all():
            raise InputError(f"image {index} holds NaN or infinity, expected finite pixels")
        yield image


def check_shape(images: NDArray[Any], image_shape: Shape) -> None:
    """Raise InputError if there is no image, or if they are not of this shape."""
    if images.ndim != 4 or images.shape[1:] != image_shape or len(images) == 0:
        raise InputError(
            f"images of shape {images.shape}, expected {('N', *image_shape)} as in training"
        )
