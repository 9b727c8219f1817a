"""A trained network with its scaler, as an ONNX file with the same bytes in every folder."""

import logging
import warnings
from pathlib import Path

import onnxruntime
import torch
from pydantic import BaseModel, Field
from torch import nn

from mri_stages.errors import InputError
from mri_stages.storage.arrays import Shape
from mri_stages.storage.files import REMAKE

BATCH = 16  # images at a time, as `evaluate` takes them: another size could change a last digit


class WithScaler(nn.Module):
    """From pixels (n, C, H, W): probabilities (n, K), and mean and deviation (n,) after scaling."""

    mean: torch.Tensor  # (C, H, W) float32, of the training pixels, as scale
    scale: torch.Tensor

    def __init__(self, network: nn.Module, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scaled = (image - self.mean) / self.scale  # as scikit-learn does it with float32 rows
        values = scaled.flatten(1)
        mean = values.mean(1)
        deviation = ((values - mean[:, None]) ** 2).mean(1).sqrt()
        return self.network(scaled).softmax(1), mean, deviation


class Input(BaseModel):
    shape: Shape
    range: tuple[float, float]  # of the training pixels


class Described(BaseModel):
    """What is read back of an export's model.json."""

    classes: list[str] = Field(min_length=2)
    input: Input


def onnx_bytes(network: WithScaler, image_shape: Shape) -> bytes:
    """Return the ONNX model of `network`: from `image`, float32, to its three outputs by name."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # no notes on missing packages
    with warnings.catch_warnings(action="ignore"):  # of PyTorch about its own code
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *image_shape),),
            input_names=["image"],
            output_names=["probabilities", "mean", "deviation"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # These hold stack traces with the absolute paths of this folder.
    parts = [model, model.graph, *model.graph.node, *model.graph.value_info]
    for part in (*parts, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))


def onnx_session(path: Path) -> onnxruntime.InferenceSession:
    """Return the ONNX file, ready to run on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = path.read_bytes()
    try:
        return onnxruntime.InferenceSession(content, options)
    except Exception as error:  # onnxruntime has a class per kind of fault
        raise InputError(f"{path}: not a whole ONNX model ({error}); {REMAKE}") from None
