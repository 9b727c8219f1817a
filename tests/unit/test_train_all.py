"""In which order train_all.py starts the models."""

from pathlib import Path

from src.params import read_params
from tests.conftest import PARAMS
from train_all import longest_first


def test_the_models_with_the_most_steps_are_first(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.replace("lr: 1e30", "lr: 1e30\n    epochs: 9"))
    # 9 epochs of batches of 4, 2 epochs of batches of 4 twice, and of batches of 5.
    assert longest_first(read_params(path)) == ["conv_hot", "conv", "conv_again", "small"]
