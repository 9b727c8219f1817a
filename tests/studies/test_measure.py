from math import inf, log, nan
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.networks import Views
from tests.helpers.study_runs import made_up
from torch import nn

from mri_stages.storage.history import Epoch
from mri_stages.studies.measure import (
    by_value,
    history_measures,
    mean_and_deviation,
    measured_training,
    numbers,
    take,
)


def test_take_copies_the_chosen_rows_and_keeps_equal_channels_once() -> None:
    once, labels = np.arange(200, dtype=np.float32).reshape(200, 1, 1, 1), np.arange(200) % 3
    images = np.lib.stride_tricks.as_strided(once, (200, 3, 1, 1), (4, 0, 4, 4))
    rows = torch.from_numpy(images), torch.from_numpy(labels)
    for chosen in (labels == 1, np.array([7, 0, 7])):
        x, y = take(rows, chosen)
        assert x.stride(1) == 0
        assert x.untyped_storage().nbytes() == 4 * len(y)
        np.testing.assert_array_equal(x.numpy(), images[chosen])
        np.testing.assert_array_equal(y.numpy(), labels[chosen])


def measured(bias: float, curvature: bool = True) -> dict[str, Any]:
    """Measure a network whose logits are its bias; training sets that of class 0 to `bias`."""
    linear = nn.Linear(1, 2)
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)

    def train(_: nn.Module, x: torch.Tensor, y: torch.Tensor) -> list[Any]:
        assert len(x) == len(y) == 4
        linear.bias.data[0] = bias
        return [SimpleNamespace(train_loss=0.7, train_accuracy=0.9)]

    x = torch.zeros(6, 1, 1, 1)
    fitted, held_out = (x[:4], torch.tensor([0, 0, 0, 1])), (x[4:], torch.tensor([0, 1]))
    return measured_training(network, fitted, held_out, train, 2, curvature)


def test_measured_training_measures_both_ends_in_closed_form() -> None:
    found = measured(log(3))
    assert (found["rows"], found["held_out_rows"]) == (4, 2)
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25))  # of the class shares, which log(3) gives
    assert found["constant_loss"] == pytest.approx(entropy)
    assert found["start_loss"] == pytest.approx(log(2))
    assert found["train_loss"] == pytest.approx(entropy, rel=1e-6)
    assert found["held_out_loss"] == pytest.approx(-(log(0.75) + log(0.25)) / 2, rel=1e-6)
    assert (found["train_accuracy"], found["held_out_accuracy"], found["gap"]) == (0.75, 0.5, 0.25)
    assert found["distance"] == pytest.approx(log(3), rel=1e-6)
    assert found["gradient_start"] == pytest.approx(0.25 * 2**0.5)  # softmax minus shares
    assert found["gradient_end"] == pytest.approx(0, abs=1e-6)
    assert found["sharpness"] == pytest.approx(2 * 0.75 * 0.25, rel=1e-3)
    assert (found["diverged"], found["epochs_to_90"], found["steps_to_90"]) == (False, 1, 2)
    without = measured(log(3), curvature=False)
    assert not {"gradient_start", "gradient_end", "sharpness"} & without.keys()


def test_measured_training_takes_stride_0_and_keeps_a_frozen_layer_in_eval() -> None:
    def train(*_: Any) -> list[Any]:
        modes.extend(module.training for module in (network, network.norm, network.linear))
        return [SimpleNamespace(train_loss=0.7, train_accuracy=0.9)]

    modes: list[bool] = []
    network = Views()
    network.norm.eval()
    few = torch.randn(8, 1, 2, 2).expand(-1, 3, -1, -1), torch.arange(8) % 2
    found = measured_training(network, few, few, train, 2, curvature=True)
    assert modes == [True, False, True]
    assert found["train_loss"] == found["held_out_loss"] == found["start_loss"]


@pytest.mark.parametrize(("bias", "diverged"), [(-9.0, False), (-9.5, True), (nan, True)])
def test_measured_training_diverges_at_ten_times_the_loss(bias: float, diverged: bool) -> None:
    found = measured(bias)  # a loss of 3/4 of -bias; ten times log(2) is 6.93
    assert found["diverged"] is diverged
    at_end = {"distance", "sharpness", "noise_scale_end"}
    assert at_end & found.keys() == (set() if diverged else at_end)
    assert {"gradient_start", "noise_scale_start"} <= found.keys()


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([(1.0, 0.5), (0.8, 0.89), (0.9, 0.9), (0.3, 1.0)], (0.3, 3, 30, 0.1, False, 2)),
        ([(1.0, 0.5), (0.5, 0.6)], (0.5, inf, inf, 0.0, False, 0)),
        ([(1.0, 0.9), (1.3, 0.2), (inf, 0.2)], (1.0, 1, 10, 0.3, True, 0)),
        ([(nan, 0.2)], (nan, inf, inf, 0.0, True, 0)),
    ],
)
def test_history_measures_by_hand(history: list[Any], expected: tuple[float, ...]) -> None:
    epochs = [Epoch(n, loss, loss, accuracy) for n, (loss, accuracy) in enumerate(history, 1)]
    found = tuple(history_measures(epochs, start_loss=1.2, steps_per_epoch=10).values())
    assert found == pytest.approx(expected, nan_ok=True)


def test_by_value_and_mean_of_the_finite_values() -> None:
    runs = [made_up(model=name, lr=lr) for name, lr in (("b", 10.0), ("a", 1e-8), ("b", 0.1))]
    assert [(k, len(v)) for k, v in by_value(runs, "model").items()] == [("b", 2), ("a", 1)]
    assert list(by_value(runs, "lr")) == [1e-8, 0.1, 10.0]
    assert numbers([made_up(gap=gap) for gap in (nan, 1, inf, 3)], "gap") == [1, 3]
    found = [mean_and_deviation(values) for values in ([1, 3], [20], [])]
    assert found == [(2, 2**0.5), (20, None), (None, None)]
