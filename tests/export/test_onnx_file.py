"""The ONNX file of a small network with its scaler."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.onnx import OnnxExporterError

from mri_stages.export.onnx_file import (
    ScaledNetwork,
    check_batch_sizes,
    encode_onnx,
    find_exporter_reason,
    open_onnx,
    run_onnx,
    start_session,
)
from mri_stages.models import Ensemble

IMAGE_SHAPE = (1, 4, 5)


@pytest.fixture(scope="module")
def network() -> ScaledNetwork:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(20, 3))
    return ScaledNetwork(layers, torch.rand(IMAGE_SHAPE), 1 + torch.rand(IMAGE_SHAPE)).eval()


@pytest.fixture(scope="module")
def onnx_file(network: ScaledNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(encode_onnx(network, IMAGE_SHAPE))
    return path


@pytest.mark.parametrize("n_images", [1, 5])
def test_onnx_gives_the_outputs_of_the_network(
    network: ScaledNetwork, onnx_file: Path, n_images: int
) -> None:
    images = torch.rand(n_images, *IMAGE_SHAPE)
    with torch.no_grad():
        expected = network(images)
    for output, tensor in zip(
        run_onnx(open_onnx(onnx_file), images.numpy()), expected, strict=True
    ):
        np.testing.assert_allclose(output, tensor.numpy(), atol=1e-6)


def test_onnx_of_an_ensemble_gives_the_mean_probabilities() -> None:
    torch.manual_seed(1)
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(20, 3)) for _ in range(3)]
    ensemble = scale_network(Ensemble(networks))
    session = start_session(encode_onnx(ensemble, IMAGE_SHAPE))
    images = 10 * torch.rand(5, *IMAGE_SHAPE)
    with torch.no_grad():
        expected = torch.stack([network(images).softmax(1) for network in networks]).mean(0)
    probabilities = run_onnx(session, images.numpy()).probabilities
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_network_describes_the_scaled_pixels(network: ScaledNetwork) -> None:
    images = torch.rand(4, *IMAGE_SHAPE)
    with torch.no_grad():
        probabilities, mean, deviation = network(images)
        logits = network.network((images - network.mean) / network.scale)
    scaled = ((images - network.mean) / network.scale).numpy().reshape(4, -1)
    np.testing.assert_allclose(probabilities, logits.softmax(1))
    np.testing.assert_allclose(mean, scaled.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(deviation, scaled.std(axis=1), rtol=1e-4)


def test_onnx_file_is_valid(onnx_file: Path) -> None:
    onnx.checker.check_model(onnx.load(onnx_file))


def test_onnx_file_names_no_source_file(onnx_file: Path) -> None:
    assert b".py" not in onnx_file.read_bytes()


class ClassToken(nn.Module):
    """A network that makes the number of images of the exporter's example a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 20))
        self.linear = nn.Linear(20, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        token = self.token.expand(len(images), -1)
        logits: torch.Tensor = self.linear(torch.stack([token, images.flatten(1)], 1).mean(1))
        return logits


class Branch(nn.Module):
    """A network without an ONNX form."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(20, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = images.flatten(1)
        if rows.sum() > 0:
            rows = 2 * rows
        logits: torch.Tensor = self.linear(rows)
        return logits


def scale_network(network: nn.Module) -> ScaledNetwork:
    return ScaledNetwork(network, torch.zeros(IMAGE_SHAPE), torch.ones(IMAGE_SHAPE)).eval()


def test_check_batch_sizes_accepts_a_free_axis(network: ScaledNetwork, onnx_file: Path) -> None:
    check_batch_sizes(onnx_file.read_bytes(), network, IMAGE_SHAPE)


def test_check_batch_sizes_refuses_a_fixed_batch() -> None:
    network = scale_network(ClassToken())
    with pytest.raises(ValueError, match="batches of 2"):
        check_batch_sizes(encode_onnx(network, IMAGE_SHAPE), network, IMAGE_SHAPE)


def test_check_batch_sizes_refuses_another_network(onnx_file: Path) -> None:
    network = scale_network(nn.Sequential(nn.Flatten(), nn.Linear(20, 3)))
    with pytest.raises(ValueError, match="other outputs"):
        check_batch_sizes(onnx_file.read_bytes(), network, IMAGE_SHAPE)


def test_find_exporter_reason_names_the_line_in_one_line() -> None:
    with pytest.raises(OnnxExporterError) as caught:
        encode_onnx(scale_network(Branch()), IMAGE_SHAPE)
    reason = find_exporter_reason(caught.value)
    assert "test_onnx_file.py, line " in reason
    assert "\n" not in reason
    assert "\x1b" not in reason


def test_check_batch_sizes_names_a_file_that_does_not_load(network: ScaledNetwork) -> None:
    with pytest.raises(ValueError, match="onnxruntime"):
        check_batch_sizes(b"no ONNX", network, IMAGE_SHAPE)
