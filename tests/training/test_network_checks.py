"""Checks of a network on rows of the data: what is refused, and what is left alone."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mri_stages.errors import InputError
from mri_stages.models import seed_random_numbers
from mri_stages.training.network_checks import NetworkChecks
from tests.helpers.networks import ZOO

SHAPE = (1, 4, 3)
N_PIXELS = 12
ROWS = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")

Forward = Callable[[Any, torch.Tensor], Any]


class Net(nn.Module):
    """A linear network whose forward is given."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.linear = nn.Linear(N_PIXELS, 2)
        self.n_passes = 0
        self.register_buffer("mean", torch.zeros(N_PIXELS), persistent=False)
        self.register_buffer("drift", torch.zeros(()))
        self.own_forward = forward

    def forward(self, images: torch.Tensor) -> Any:
        return self.own_forward(self, images.flatten(1))


def make_checks(
    make: Callable[[], nn.Module], images: torch.Tensor = ROWS, n_classes: int = 2
) -> NetworkChecks:
    def make_fresh() -> nn.Module:
        torch.manual_seed(0)
        return make()

    _, channels, height, width = images.shape
    return NetworkChecks("own", (channels, height, width), n_classes, images, CPU, make_fresh)


def check_fresh(forward: Forward, images: torch.Tensor = ROWS) -> None:
    make_checks(lambda: Net(forward), images).check_fresh_network()


def give_tuple_in_training(net: Any, rows: torch.Tensor) -> Any:
    logits = net.linear(rows)
    return (logits, logits) if net.training else logits


def drop_always(net: Any, rows: torch.Tensor) -> Any:
    return net.linear(functional.dropout(rows, 0.5))


def use_batch_mean(net: Any, rows: torch.Tensor) -> Any:
    return net.linear(rows - rows.mean(0))


def keep_unsaved_mean(net: Any, rows: torch.Tensor) -> Any:
    if net.training:
        net.mean += rows.detach().mean(0) + 1
    return net.linear(rows - net.mean)


def count_passes(net: Any, rows: torch.Tensor) -> Any:
    net.n_passes += net.training
    return net.linear(rows) + 10 * net.n_passes


def branch_on_batch(net: Any, rows: torch.Tensor) -> Any:
    return net.linear(rows * (2 if len(rows) > 1 else 1))


def drift_in_eval_mode(net: Any, rows: torch.Tensor) -> Any:
    if not net.training:
        net.drift += 1
    return net.linear(rows) + net.drift


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (give_tuple_in_training, "tuple"),
        (lambda net, rows: net.linear(rows)[:, :1], r"\(4, 1\)|\(1, 1\)"),
        (lambda net, rows: net.linear(rows).sum(), r"\(\)"),
        (lambda net, rows: net.linear(rows) / 0, "infinity"),
        (drop_always, "two passes"),
        (use_batch_mean, "other images"),
        (keep_unsaved_mean, "buffer mean is not saved"),
        (count_passes, "attribute n_passes is not saved"),
        (lambda net, rows: net.linear(rows[:, :5]), "RuntimeError"),
        (lambda net, rows: net.linear(rows).detach(), "no gradient"),
        (lambda net, rows: net.linear(rows).round().long(), "int64"),
        (lambda net, rows: net.linear(rows) * 1j, "complex64"),
    ],
)
def test_check_fresh_network_names_the_fault(forward: Forward, text: str) -> None:
    with pytest.raises(InputError, match=text) as error:
        check_fresh(forward)
    assert "own.py" in str(error.value)
    assert str(SHAPE) in str(error.value)
    assert "\n" not in str(error.value)


class CountingForward:
    """A forward that counts its passes where no check can look."""

    def __init__(self) -> None:
        self.n_passes = 0

    def __call__(self, net: Any, rows: torch.Tensor) -> Any:
        self.n_passes += net.training
        return net.linear(rows) + 10 * self.n_passes


def test_check_fresh_network_refuses_state_that_it_cannot_name() -> None:
    with pytest.raises(InputError, match="a part of its state is not saved"):
        make_checks(lambda: Net(CountingForward())).check_fresh_network()


def test_check_fresh_network_needs_a_parameter_to_train() -> None:
    def make() -> nn.Module:
        return Net(lambda net, rows: net.linear(rows)).requires_grad_(False)

    with pytest.raises(InputError, match="requires_grad"):
        make_checks(make).check_fresh_network()


class Counted(nn.Module):
    """A module whose extra state is given."""

    def __init__(self, state: object) -> None:
        super().__init__()
        self.state = state

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: object) -> None:
        self.state = state

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows


def make_counted(state: object) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Flatten(), Counted(state), nn.Linear(N_PIXELS, 2))


def test_check_fresh_network_refuses_other_extra_state() -> None:
    with pytest.raises(InputError, match="get_extra_state returns dict"):
        make_checks(make_counted({"seen": 0})).check_fresh_network()


@pytest.mark.parametrize("state", [None, torch.ones(2)])
def test_check_fresh_network_takes_saved_extra_state(state: object) -> None:
    make_checks(make_counted(state)).check_fresh_network()


def test_check_fresh_network_allows_gradients_in_forward() -> None:
    def watch_gradient(net: Any, rows: torch.Tensor) -> Any:
        logits = net.linear(rows)
        if net.training:
            logits.register_hook(lambda gradient: gradient)
        return logits

    check_fresh(watch_gradient)


@pytest.mark.parametrize("forward", [branch_on_batch, drift_in_eval_mode])
def test_check_fresh_network_warns(forward: Forward, capsys: pytest.CaptureFixture[str]) -> None:
    check_fresh(forward)
    assert capsys.readouterr().out.startswith("warning: ")


def test_check_fresh_network_refuses_rows_that_depend_on_the_first() -> None:
    with pytest.raises(InputError, match="other images"):
        check_fresh(lambda net, rows: net.linear(rows[:1]).expand(len(rows), -1))


def test_check_fresh_network_refuses_parts_of_another_network() -> None:
    shared = nn.Linear(N_PIXELS, 8)
    with pytest.raises(InputError, match=r"share 1\.weight, 1\.bias,"):
        make_checks(
            lambda: nn.Sequential(nn.Flatten(), shared, nn.Linear(8, 2))
        ).check_fresh_network()


def test_check_fresh_network_names_a_sparse_parameter() -> None:
    def make() -> nn.Module:
        network = Net(lambda net, rows: torch.sparse.mm(net.weight, rows.T).T)
        network.weight = nn.Parameter(torch.eye(2, N_PIXELS).to_sparse())
        return network

    with pytest.raises(InputError, match="weight: a sparse"):
        make_checks(make).check_fresh_network()


def test_check_fresh_network_names_a_file_that_ends_the_program() -> None:
    with pytest.raises(InputError, match="SystemExit"):
        check_fresh(lambda net, rows: exit(0))


def test_check_fresh_network_takes_one_that_changes_its_input(
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_fresh(lambda net, rows: net.linear(rows.sub_(0.5)))
    assert capsys.readouterr().out == ""


def test_check_fresh_network_warns_of_softmax(capsys: pytest.CaptureFixture[str]) -> None:
    check_fresh(lambda net, rows: net.linear(rows).softmax(1))
    assert "softmax" in capsys.readouterr().out


def test_check_fresh_network_takes_one_row_with_batchnorm() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(N_PIXELS), nn.Linear(N_PIXELS, 2))

    make_checks(make, ROWS[:1]).check_fresh_network()


@pytest.mark.parametrize("name", ZOO)
def test_checks_accept_networks_that_people_bring(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images = torch.randn(6, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    make = ZOO[name]
    checks = make_checks(lambda: make((3, 40, 44), 2), images)
    checks.check_fresh_network()
    checks.check_trained_network(checks.make_network())
    assert capsys.readouterr().out == ""


def draw_random_numbers() -> list[float]:
    """Draw from the global random numbers of PyTorch, NumPy and Python."""
    return [torch.rand(1).item(), np.random.random(), random.random()]


def test_check_fresh_network_leaves_random_numbers_alone() -> None:
    def drop_pixels(net: Any, rows: torch.Tensor) -> Any:
        return net.linear(rows * sum(draw_random_numbers()) if net.training else rows)

    seed_random_numbers(5)
    expected = draw_random_numbers()
    seed_random_numbers(5)
    check_fresh(drop_pixels)
    assert draw_random_numbers() == expected


@pytest.mark.parametrize("draw", [np.random.random, random.random])
def test_check_fresh_network_refuses_random_outputs(draw: Callable[[], float]) -> None:
    with pytest.raises(InputError, match="two passes"):
        check_fresh(lambda net, rows: net.linear(rows * (1 + draw())))


def test_check_trained_network_names_what_is_not_saved() -> None:
    def make() -> Net:
        return Net(lambda net, rows: net.linear(rows) + net.n_passes)

    network = make()
    network.n_passes = 7  # as a training loop may leave it, though no pass of a check does
    with pytest.raises(InputError, match="attribute n_passes is not saved"):
        make_checks(make).check_trained_network(network)


def test_check_trained_network_takes_nan() -> None:
    def make() -> Net:
        return Net(lambda net, rows: net.linear(rows))

    network = make()
    with torch.no_grad():
        network.linear.weight.fill_(torch.nan)
    make_checks(make).check_trained_network(network)


def test_check_trained_network_leaves_the_network_alone() -> None:
    def make() -> Net:
        return Net(drift_in_eval_mode)

    network = make()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    make_checks(make).check_trained_network(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name
