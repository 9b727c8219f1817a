"""Classifiers of torchvision. Most tests need that package, which is an extra of this project."""

import importlib.util
import sys

import pytest
import torch

from mri_stages.errors import InputError
from mri_stages.models import make_network

needs_torchvision = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed"
)


def test_torchvision_model_names_the_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # an import raises ImportError
    with pytest.raises(InputError, match="torchvision is missing"):
        make_network("torchvision_model", (3, 40, 44), 3, seed=0)


def test_torchvision_model_refuses_other_channels() -> None:
    with pytest.raises(InputError, match="2 channels"):
        make_network("torchvision_model", (2, 40, 44), 3, seed=0)


@needs_torchvision
def test_torchvision_model_names_similar_classifiers() -> None:
    with pytest.raises(InputError, match=r"'resnet19'.* resnet1"):
        make_network("torchvision_model", (3, 40, 44), 3, 0, {"name": "resnet19"})


@needs_torchvision
@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "squeezenet1_1", "googlenet"])
def test_torchvision_model_has_a_logit_per_class(name: str) -> None:
    network = make_network("torchvision_model", (1, 40, 44), 3, 0, {"name": name})
    assert network(torch.zeros(2, 1, 40, 44)).shape == (2, 3)


@needs_torchvision
def test_torchvision_model_normalises_as_for_imagenet() -> None:
    from torchvision.models import get_model

    torch.manual_seed(0)
    plain = get_model("shufflenet_v2_x0_5", num_classes=3).eval()
    options = {"name": "shufflenet_v2_x0_5"}
    network = make_network("torchvision_model", (1, 40, 44), 3, 0, options).eval()

    grey = torch.randn(2, 1, 40, 44, generator=torch.Generator().manual_seed(1))
    brightness = 0.449 + 0.226 * grey
    means = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviations = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    torch.testing.assert_close(
        network(grey), plain((brightness - means) / deviations), rtol=1e-3, atol=1e-4
    )
