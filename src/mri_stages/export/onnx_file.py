"""A trained network with its scaler, as an ONNX file, and a check of that file."""

import logging
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn
from torch.onnx import OnnxExporterError

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.export.outputs import Outputs, compute_outputs, iterate_pixels
from mri_stages.storage.arrays import Shape
from mri_stages.storage.dataset import Info, load_stored
from mri_stages.storage.files import REMAKE
from mri_stages.storage.predictions import read_predictions

PROVEN_BATCH_SIZES = (1, 3)  # the exporter sees another one, 2

# In the exporter's messages.
TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")
SUMMARY_HEADING = "## Exception summary"

MAX_PROBABILITY_DIFFERENCE = 1e-4  # between ONNX and PyTorch


class ScaledNetwork(nn.Module):
    """A network with its scaler: from pixels (n, C, H, W) to the three parts of `Outputs`."""

    mean: torch.Tensor  # (C, H, W) float32, of the training pixels
    scale: torch.Tensor  # (C, H, W) float32

    def __init__(self, network: nn.Module, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        # scikit-learn does the same with float32 rows.
        scaled = (image - self.mean) / self.scale
        values = scaled.flatten(1)
        mean = values.mean(1)
        deviation = ((values - mean[:, None]) ** 2).mean(1).sqrt()
        probabilities = self.compute_logits(scaled).softmax(1)
        return probabilities, mean, deviation

    def compute_logits(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, K) of scaled images (n, C, H, W)."""
        logits: torch.Tensor = self.network(scaled)
        return logits


def encode_onnx(network: ScaledNetwork, image_shape: Shape) -> bytes:
    """Return the content of an ONNX file of the network, for any number of images.

    Its input is `image`, float32 (N, C, H, W), and its outputs are the fields of `Outputs`. The
    bytes are the same in every folder. OnnxExporterError if the network has no such form.
    """
    # These notes are about packages that are not needed, and the warnings about PyTorch's own code.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *image_shape),),
            input_names=["image"],
            output_names=list(Outputs._fields),
            dynamic_shapes=({0: torch.export.Dim("N")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None

    model = program.model_proto
    remove_stack_traces(model)
    return bytes(model.SerializeToString(deterministic=True))


def remove_stack_traces(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes, which hold stack traces with absolute paths of this machine."""
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ):
        part.doc_string = ""
        del part.metadata_props[:]


def find_exporter_reason(error: OnnxExporterError) -> str:
    """Return in one line why a network has no ONNX form, and the line of its file if known.

    The exporter's message has pages, with codes for a terminal.
    """
    text = TERMINAL_CODE.sub("", str(error))
    summary = text.partition(SUMMARY_HEADING)[2].strip() or text.strip()
    reason = summary.splitlines()[0]
    kind = re.match(r"<class '(?:\w+\.)*(\w+)'>: ", reason)
    if kind is not None:
        reason = f"{kind[1]}: {reason[kind.end() :]}"

    place = re.search(r'raised this error:\s+File ".*?([^/\\"]+\.py)", line (\d+)', text)
    if place is not None:
        reason += f", in {place[1]}, line {place[2]}"
    return reason


def check_batch_sizes(content: bytes, network: ScaledNetwork, image_shape: Shape) -> None:
    """Raise ValueError unless an ONNX file gives the network's outputs for 1 and for 3 images."""
    session = start_session(content)
    for n_images in PROVEN_BATCH_SIZES:
        images = torch.linspace(0, 1, n_images)[:, None, None, None].expand(-1, *image_shape)
        with torch.inference_mode():
            expected = network(images)[0].numpy()
        try:
            probabilities = run_onnx(session, images.numpy()).probabilities
        except Exception as error:  # onnxruntime has a class per kind of fault
            size = session.get_inputs()[0].shape[0]
            reason = f"takes batches of {size} images only" if isinstance(size, int) else error
            raise ValueError(f"its file, for a batch of {n_images}: {reason}") from error

        difference = float(abs(probabilities - expected).max())
        if not difference <= MAX_PROBABILITY_DIFFERENCE:
            raise ValueError(f"its file gives other outputs for {n_images} images")


def open_onnx(path: Path) -> onnxruntime.InferenceSession:
    """Return the network of an ONNX file, ready to run on one thread of the CPU."""
    try:
        return start_session(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a whole ONNX model ({error}); {REMAKE}") from None


def start_session(content: bytes) -> onnxruntime.InferenceSession:
    """Return the network of an ONNX file of this content, ready to run on one thread.

    ValueError if onnxruntime does not take the file, such as for an operator that it lacks.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, options)
    except Exception as error:  # onnxruntime has a class per kind of fault
        reason = " ".join(str(error).split())
        raise ValueError(f"onnxruntime does not take its file: {reason}") from error


def run_onnx(session: onnxruntime.InferenceSession, images: NDArray[np.float32]) -> Outputs:
    """Return the outputs for pixels (n, C, H, W)."""
    return Outputs(*session.run(list(Outputs._fields), {"image": images}))


def check_onnx_file(path: Path, name: str, info: Info) -> float:
    """Return the largest difference of a test row's probability from the one of `evaluate`.

    InputError if it is too large, or not a number.
    """
    expected = read_predictions(paths.predictions(name), info.classes).probabilities
    images = load_stored("test", info).images
    difference = float(abs(predict_by_onnx(path, images) - expected).max())

    # A comparison with NaN is False.
    if not difference <= MAX_PROBABILITY_DIFFERENCE:
        raise InputError(
            f"{paths.EXPORT / path.name}: a probability of a test row differs from PyTorch's "
            f"by {difference:.2g}, expected at most {MAX_PROBABILITY_DIFFERENCE:g}; export "
            "another model"
        )
    return difference


def predict_by_onnx(path: Path, images: NDArray[Any]) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of stored images (N, C, H, W) by an ONNX file."""
    session = open_onnx(path)
    outputs = compute_outputs(lambda batch: run_onnx(session, batch), iterate_pixels(images))
    return outputs.probabilities
