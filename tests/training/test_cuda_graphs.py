"""Whether steps run as CUDA graphs. Whether graphs take the right steps, test_loop.py shows."""

import pytest
import torch

from mri_stages.training.cuda_graphs import should_capture
from tests.helpers.plain_training import make_recipe


@pytest.mark.parametrize(
    ("device", "cuda_graphs", "expected"),
    [("cuda", True, True), ("cuda", False, False), ("cpu", True, False), ("cpu", False, False)],
)
def test_should_capture_on_a_gpu_if_asked(device: str, cuda_graphs: bool, expected: bool) -> None:
    recipe = make_recipe(cuda_graphs=cuda_graphs)
    assert should_capture(recipe, torch.device(device)) is expected
