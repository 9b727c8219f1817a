from collections.abc import Sequence
from math import inf, isnan, log, nan

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mri_stages.config.schema import Model, Params
from mri_stages.storage.arrays import view_as_images
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.storage.history import Epoch
from mri_stages.studies.measure import (
    BATCH_SIZE,
    NOISE_ROWS,
    HistoryMeasures,
    Training,
    add_curvature,
    compute_entropy,
    compute_loss_and_accuracy,
    count_epochs_to_target,
    count_turns,
    measure_distance,
    measure_history,
    measure_run,
    run_training,
    select_labelled_images,
)
from mri_stages.studies.records import Run
from mri_stages.training.fit import build_network
from tests.helpers.params import default_params

MODEL: Model = Params.model_validate(default_params()).models["small"]
MEASURED_AT_THE_END = {"gradient_end", "noise_scale_end", "sharpness"}
MEASURED_AT_THE_START = {"gradient_start", "noise_scale_start"}


def make_bias_network(bias: float) -> nn.Sequential:
    """Return a network whose logits of two classes are (bias, 0); dropout never touches them."""
    linear = nn.Linear(1, 2)
    nn.init.zeros_(linear.weight)
    with torch.no_grad():
        linear.bias.copy_(torch.tensor([bias, 0.0]))
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear)


def make_zero_images(labels: Sequence[int]) -> LabelledImages:
    images = np.zeros((len(labels), 1, 1, 1), np.float32)
    return LabelledImages(images, np.array(labels, np.int64), None)


def make_training(bias: float) -> Training:
    """Return a training that moved the bias from 0 to `bias` on labels 0, 0, 0, 1."""
    return Training(
        model=MODEL.model_copy(update={"seed": 4, "lr": 0.5, "batch_size": 3}),
        train_rows=make_zero_images([0, 0, 0, 1]),
        network_before=make_bias_network(0),
        network_after=make_bias_network(bias),
        history=[Epoch(1, 0.7, 0.7, 0.9)],
    )


def measure_bias(bias: float) -> Run:
    return measure_run("net", make_training(bias), make_zero_images([0, 1]))


# The bias log(3) gives the class shares of 3 to 1.
ENTROPY = -(0.75 * log(0.75) + 0.25 * log(0.25))


def test_measure_run_losses_are_in_closed_form() -> None:
    run = measure_bias(log(3))
    assert run.start_loss == pytest.approx(log(2))
    assert run.constant_loss == pytest.approx(ENTROPY)
    assert run.train_loss == pytest.approx(ENTROPY, rel=1e-6)
    assert run.held_out_loss == pytest.approx(-(log(0.75) + log(0.25)) / 2, rel=1e-6)


def test_measure_run_accuracies_are_in_closed_form() -> None:
    run = measure_bias(log(3))
    assert (run.train_accuracy, run.held_out_accuracy, run.gap) == (0.75, 0.5, 0.25)


def test_measure_run_distance_is_that_of_the_bias() -> None:
    assert measure_bias(log(3)).distance == pytest.approx(log(3), rel=1e-6)


def test_measure_run_names_its_training() -> None:
    run = measure_bias(1.0)
    assert (run.model, run.seed, run.lr, run.batch_size) == ("net", 4, 0.5, 3)
    assert (run.rows, run.held_out_rows) == (4, 2)


def test_measure_run_counts_a_smaller_last_batch_as_a_step() -> None:
    run = measure_bias(1.0)  # four rows in batches of three
    assert (run.epochs_to_90, run.steps_to_90) == (1, 2)


@pytest.mark.parametrize(("bias", "has_diverged"), [(-9.0, False), (-9.5, True), (nan, True)])
def test_measure_run_diverges_at_ten_times_the_loss(bias: float, has_diverged: bool) -> None:
    run = measure_bias(bias)  # a loss of 3/4 of -bias; ten times log(2) is 6.93
    assert run.diverged is has_diverged
    assert isnan(run.distance) is has_diverged


def test_measure_run_measures_no_curvature() -> None:
    run = measure_bias(1.0).model_dump()
    assert all(isnan(run[name]) for name in MEASURED_AT_THE_START | MEASURED_AT_THE_END)


def test_add_curvature_is_in_closed_form() -> None:
    training = make_training(log(3))
    run = add_curvature(measure_bias(log(3)), training)
    assert run.gradient_start == pytest.approx(0.25 * 2**0.5)  # softmax minus shares
    assert run.gradient_end == pytest.approx(0, abs=1e-6)
    assert run.sharpness == pytest.approx(2 * 0.75 * 0.25, rel=1e-3)


def test_add_curvature_keeps_the_other_measures() -> None:
    run = measure_bias(1.0)
    curvature_fields = MEASURED_AT_THE_START | MEASURED_AT_THE_END
    with_curvature = add_curvature(run, make_training(1.0))
    assert with_curvature.model_dump(exclude=curvature_fields) == run.model_dump(
        exclude=curvature_fields
    )


def test_add_curvature_after_divergence_is_of_the_start() -> None:
    run = add_curvature(measure_bias(-9.5), make_training(-9.5)).model_dump()
    assert not isnan(run["gradient_start"])
    assert all(isnan(run[name]) for name in MEASURED_AT_THE_END)


class Probe(nn.Module):
    """A linear network that notes its mode and how many rows each forward takes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 3)
        self.modes: set[bool] = set()
        self.batch_sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.add(self.training)
        self.batch_sizes.append(len(x))
        logits: torch.Tensor = self.linear(x.view(len(x), 12))  # of contiguous images only
        return logits


def make_grey_images(n_rows: int) -> LabelledImages:
    """Return random images of three equal channels, stored once."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n_rows, 4)).astype(np.float32)
    return LabelledImages(
        view_as_images(rows, (3, 2, 2)), np.arange(n_rows) % 3, np.arange(n_rows) // 2
    )


def test_measures_are_taken_in_eval_mode() -> None:
    before, after = Probe().train(), Probe().train()
    rows = make_grey_images(8)
    training = Training(MODEL, rows, before, after, [Epoch(1, 0.7, 0.7, 0.9)])
    add_curvature(measure_run("net", training, rows), training)
    assert before.modes == after.modes == {False}


def test_add_curvature_takes_a_sample_of_rows() -> None:
    network = Probe()
    rows = make_grey_images(NOISE_ROWS + 40)
    training = Training(MODEL, rows, network, network, [Epoch(1, 0.7, 0.7, 0.9)])
    run = measure_run("net", training, rows)
    network.batch_sizes.clear()
    add_curvature(run.model_copy(update={"diverged": True}), training)
    assert sum(network.batch_sizes) == NOISE_ROWS


def test_loss_and_accuracy_in_batches_equal_one_pass() -> None:
    torch.manual_seed(0)
    network = Probe()
    rows = make_grey_images(2 * BATCH_SIZE + 22)
    labels = torch.from_numpy(rows.labels)
    logits = network.linear(torch.from_numpy(rows.images.reshape(-1, 12))).detach()
    loss, accuracy = compute_loss_and_accuracy(network, rows)
    assert loss == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-6)
    assert accuracy == pytest.approx(float((logits.argmax(1) == labels).double().mean()))


def test_entropy_of_class_shares() -> None:
    assert compute_entropy(np.array([0, 0, 0, 3])) == pytest.approx(ENTROPY)


def test_distance_is_over_all_weights() -> None:
    before, after = nn.Linear(2, 1), nn.Linear(2, 1)
    for network, values in ((before, (1.0, 2.0, 3.0)), (after, (1.0, 5.0, 7.0))):
        nn.utils.vector_to_parameters(torch.tensor(values), network.parameters())
    assert measure_distance(before, after) == 5


def test_run_training_begins_with_the_fresh_network() -> None:
    info = Info(image_shape=(3, 2, 2), classes=["a", "b", "c"], counts={})
    training = run_training(MODEL, info, make_grey_images(12))
    expected = build_network(MODEL, info).state_dict()
    for name, tensor in training.network_before.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)
    assert measure_distance(training.network_before, training.network_after) > 0
    assert len(training.history) == MODEL.epochs


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (
            [(1.0, 0.5), (0.8, 0.89), (0.9, 0.9), (0.3, 1.0)],
            HistoryMeasures(0.3, 3, 30, 0.1, False, 2),
        ),
        ([(1.2, 0.5), (0.5, 0.6)], HistoryMeasures(0.5, inf, inf, 0.0, False, 0)),
        ([(1.0, 0.9), (1.3, 0.2), (inf, 0.2)], HistoryMeasures(1.0, 1, 10, 0.3, True, 0)),
        ([(nan, 0.2)], HistoryMeasures(nan, inf, inf, 0.0, True, 0)),
    ],
)
def test_measure_history_by_hand(
    history: list[tuple[float, float]], expected: HistoryMeasures
) -> None:
    epochs = [
        Epoch(number, loss, loss, accuracy) for number, (loss, accuracy) in enumerate(history)
    ]
    measures = measure_history(epochs, start_loss=1.2, steps_per_epoch=10)
    assert tuple(measures) == pytest.approx(tuple(expected), nan_ok=True)


@pytest.mark.parametrize(
    ("changes", "n_turns"),
    [([-1, -1], 0), ([-1, 1, -1], 2), ([1, -1], 1), ([-1, 0, 1], 1), ([], 0)],
)
def test_count_turns_between_falling_and_rising(changes: list[float], n_turns: int) -> None:
    assert count_turns(changes) == n_turns


def test_count_epochs_to_target_is_the_first_that_reaches_it() -> None:
    epochs = [Epoch(n, 1.0, 1.0, accuracy) for n, accuracy in enumerate([0.89, 0.9, 0.5, 0.95])]
    assert count_epochs_to_target(epochs) == 2


SELECTIONS = [np.arange(8) % 3 == 1, np.array([7, 0, 7])]


@pytest.mark.parametrize("selection", SELECTIONS, ids=["mask", "indices"])
def test_select_labelled_images_equals_numpy(selection: np.ndarray) -> None:
    data = make_grey_images(8)
    selected = select_labelled_images(data, selection)
    assert data.subjects is not None
    assert selected.subjects is not None
    np.testing.assert_array_equal(selected.images, data.images[selection])
    np.testing.assert_array_equal(selected.labels, data.labels[selection])
    np.testing.assert_array_equal(selected.subjects, data.subjects[selection])


def test_select_labelled_images_keeps_equal_channels_once() -> None:
    images = select_labelled_images(make_grey_images(8), np.array([1, 2])).images
    assert isinstance(images, np.ndarray)
    assert images.strides[1] == 0


def test_select_labelled_images_copies_different_channels() -> None:
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    data = LabelledImages(images, np.arange(2), None)
    selected = select_labelled_images(data, np.array([1]))
    np.testing.assert_array_equal(selected.images, images[[1]])
    assert selected.subjects is None
