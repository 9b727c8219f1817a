import pytest
import torch
from torch import nn

from src.cli import InputError
from src.networks import NETWORKS
from src.params import Arch

SLICES = (3, 208, 176)


# Counted by hand from the notebook's layers.
@pytest.mark.parametrize(
    ("arch", "count"),
    [
        (
            "SimpleNN1",
            109824 * 1024 + 1024  # the flat image
            + 1024 * 512 + 512
            + 512 * 256 + 256
            + 256 * 128 + 128
            + 128 * 64 + 64
            + 64 * 4 + 4,
        ),
        ("SimpleNN2", 109824 * 128 + 128 + 128 * 4 + 4),
        (
            "ConvNN1",
            8 * (3 * 25 + 1) + 16 * (8 * 25 + 1)
            + 16 * 49 * 41 * 3000 + 3000
            + 3000 * 4 + 4,
        ),
        (
            "ConvNN2",
            16 * (3 * 25 + 1) + 32 * (16 * 25 + 1) + 64 * (32 * 25 + 1)
            + 64 * 22 * 18 * 128 + 128
            + 128 * 4 + 4,
        ),
    ],
)  # fmt: skip
def test_parameter_counts_are_the_notebooks(arch: Arch, count: int) -> None:
    with torch.device("meta"):
        network = NETWORKS[arch](SLICES, 4)
        logits = network(torch.empty(2, *SLICES))
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert logits.shape == (2, 4)


def test_the_shape_probe_of_the_notebook() -> None:
    with torch.device("meta"):
        convolutions = nn.Sequential(*list(NETWORKS["ConvNN1"](SLICES, 4))[:6])
        assert convolutions(torch.empty(10, *SLICES)).shape == (10, 16, 49, 41)


@pytest.mark.parametrize(("arch", "smallest"), [("ConvNN1", 16), ("ConvNN2", 36)])
def test_the_smallest_image_works_and_a_smaller_one_says_so(arch: Arch, smallest: int) -> None:
    network = NETWORKS[arch]((1, smallest, smallest + 1), 2)
    assert network(torch.zeros(1, 1, smallest, smallest + 1)).shape == (1, 2)
    with pytest.raises(InputError, match=f"at least {smallest} x {smallest}"):
        NETWORKS[arch]((1, smallest + 1, smallest - 1), 2)
