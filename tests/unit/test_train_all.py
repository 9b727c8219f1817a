"""In which order train_all.py starts the models."""

from pathlib import Path

from src.params import read_params
from train_all import longest_first


def test_the_slowest_networks_start_first(repo: Path) -> None:
    order = longest_first(read_params(repo / "params.yaml"))
    assert order == ["conv_nn2", "conv_nn3", "conv_nn4", "conv_nn1", "simple_nn2", "simple_nn1"]
