"""The one door to training: build a network, choose its validation rows, train it.

An ensemble is several networks that differ in their seed. Each is trained as if it were alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from mri_stages.config.schema import Model
from mri_stages.console import enter_part
from mri_stages.models import (
    explain_errors_in_file,
    join_networks,
    keep_random_state,
    make_networks,
)
from mri_stages.storage.dataset import Info
from mri_stages.storage.history import Epoch
from mri_stages.storage.unscaled_images import TrainingRows
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.checks import check_batch_of_one_row, has_batch_of_one_row
from mri_stages.training.condensed import is_faster_with_products
from mri_stages.training.device import set_up_device
from mri_stages.training.freezing import freeze_parts
from mri_stages.training.images import to_images
from mri_stages.training.initial_weights import (
    StateDict,
    fill_from_file,
    read_bytes_of_hash,
    read_state_dict,
)
from mri_stages.training.loop import train
from mri_stages.training.network_checks import NetworkChecks
from mri_stages.training.own_part_checks import check_own_parts
from mri_stages.training.row_span import compute_row_products
from mri_stages.training.validation import Integers, choose_validation_rows


class FitResult(NamedTuple):
    """A trained network or ensemble, on the device that it was trained on, and its history."""

    network: nn.Module
    history: list[Epoch]


def build_network(model: Model, info: Info) -> nn.Module:
    """Return a fresh network, or ensemble, on the CPU; its weights are those of `model.seed`.

    This also seeds all global random numbers; dropout draws from PyTorch's during a training.
    """
    n_classes = len(info.classes)
    return make_networks(
        model.ensemble, model.arch, info.image_shape, n_classes, model.seed, model.options
    )


def prepare_start(model: Model, info: Info) -> Callable[[], nn.Module]:
    """Return a function that builds the network with which a training of the model begins.

    It is a fresh one, with trained weights of a file and frozen parts where the model names these.
    InputError if there is no such file; the function raises one if they do not fit.
    """
    if model.weights is None:
        return partial(build_start, model, info)
    state = read_state_dict(model.weights.file, read_bytes_of_hash(model.weights))
    return partial(build_start, model, info, state)


def build_start(model: Model, info: Info, state: StateDict | None = None) -> nn.Module:
    """Return the network with which a training begins; state: of the model's file of weights."""
    network = build_network(model, info)
    fresh_names: list[str] = []
    if model.weights is not None and state is not None:
        fresh_names = fill_from_file(network, model.arch, model.weights, state)
    freeze_parts(network, model.arch, model.freeze, fresh_names)
    return network


def count_training_rows(
    model: Model, labels: Integers, subjects: Integers | None, classes: Sequence[str]
) -> list[int]:
    """Return how many of the rows (N,) train each network of `model`, without validation rows.

    The seed of a network chooses its validation subjects, which differ in their rows. InputError if
    a network could hold out no validation row.
    """
    counts = []
    for number in range(model.ensemble):
        network_model = select_network(model, number)
        validation_mask = choose_validation_rows(network_model, labels, subjects, classes)
        n_validation = 0 if validation_mask is None else int(validation_mask.sum())
        counts.append(len(labels) - n_validation)
    return counts


def check_last_batches(model: Model, info: Info, row_counts: Iterable[int]) -> None:
    """Raise InputError if trainings on so many rows have a last batch that the network refuses.

    BatchNorm refuses one row. Only where a last batch is one row, a network of its own tries it.
    Asked before the first of several trainings, it saves the hours of those before the refused one.
    """
    n_rows = next((n for n in row_counts if has_batch_of_one_row(model, n)), None)
    if n_rows is None:
        return
    device = set_up_device(model.threads)
    with keep_random_state(device), explain_errors_in_file(model.arch, info.image_shape):
        network = prepare_start(select_network(model, 0), info)().to(device)
        image = torch.zeros(1, *info.image_shape)
        check_batch_of_one_row(model, network, image, n_rows)


def compute_shared_products(model: Model, data: TrainingRows, info: Info) -> torch.Tensor | None:
    """Return the products (N, N) of all pairs of rows, for trainings of `model` on the same `data`.

    None where these would not be faster with them, see row_span.py. A line says where the products
    take too much memory.
    """
    device = set_up_device(model.threads)
    images = to_images(data.images)
    network = prepare_start(model, info)()
    if device.type != "cpu" or not is_faster_with_products(network, images, model):
        return None
    assert isinstance(images, torch.Tensor)
    return compute_row_products(images)


def fit(
    model: Model,
    data: TrainingRows,
    info: Info,
    *,
    checkpoint: Checkpoint | None = None,
    quiet: bool = False,
    products: torch.Tensor | None = None,
) -> FitResult:
    """Train all networks of `model` on `data`; return them as one, with their history.

    checkpoint: where a killed run of the same training left one, the training resumes from it.
    quiet: print no line per epoch. products: (N, N), of all pairs of rows of `data`, which several
    trainings can share, see `compute_shared_products`. InputError: see `fit_network`.
    """
    results = list(
        fit_networks(model, data, info, checkpoint=checkpoint, quiet=quiet, products=products)
    )
    history = [epoch for result in results for epoch in result.history]
    return FitResult(join_networks([result.network for result in results]), history)


def fit_networks(
    model: Model,
    data: TrainingRows,
    info: Info,
    *,
    checkpoint: Checkpoint | None = None,
    quiet: bool = False,
    products: torch.Tensor | None = None,
) -> Iterator[FitResult]:
    """Train the networks of `model` one after the other, and yield each.

    The arguments are those of `fit`. Who keeps no network has one or two in memory at a time.
    """
    if model.ensemble == 1:
        yield fit_network(model, data, info, checkpoint, quiet, products)
        return

    row_counts = count_training_rows(model, data.labels, data.subjects, info.classes)
    check_last_batches(model, info, row_counts)
    for number in range(model.ensemble):
        if not quiet:
            print(f"network {number + 1} of {model.ensemble}", flush=True)
        member = select_network(model, number)
        member_checkpoint = None if checkpoint is None else checkpoint.select_network(number)
        with enter_part("network", number + 1, model.ensemble):
            network, history = fit_or_restore(
                member, data, info, member_checkpoint, quiet, products
            )
        yield FitResult(network, [epoch._replace(network=number) for epoch in history])


def select_network(model: Model, number: int) -> Model:
    """Return the model of one network of an ensemble, from 0: it has a seed of its own."""
    return model.model_copy(update={"seed": model.seed + number, "ensemble": 1})


def fit_or_restore(
    model: Model,
    data: TrainingRows,
    info: Info,
    checkpoint: Checkpoint | None,
    quiet: bool,
    products: torch.Tensor | None = None,
) -> FitResult:
    """Train one network of an ensemble, unless a killed run left it in the checkpoint."""
    if checkpoint is not None and checkpoint.result_path.exists():
        network = build_network(model, info)
        rows = checkpoint.restore_result(network)
        if rows:
            device = set_up_device(model.threads)
            return FitResult(network.to(device), [Epoch(*row) for row in rows])

    result = fit_network(model, data, info, checkpoint, quiet, products)
    if checkpoint is not None:
        checkpoint.save_result(result.network, result.history)
    return result


def fit_network(
    model: Model,
    data: TrainingRows,
    info: Info,
    checkpoint: Checkpoint | None,
    quiet: bool,
    products: torch.Tensor | None = None,
) -> FitResult:
    """Train one network on `data` as the recipe of `model` says; return it with its history.

    Its training begins with fresh weights, or with those of the file that the model names.
    Its frozen parts do not change. InputError if the network cannot be trained, predicted with and
    saved, see network_checks.py, or if the model's own loss or augmentation cannot be used, see
    own_part_checks.py.

    checkpoint, quiet, products: as in `fit`.
    """
    make_start = prepare_start(model, info)
    validation_mask = choose_validation_rows(model, data.labels, data.subjects, info.classes)
    device = set_up_device(model.threads)
    images = to_images(data.images)
    labels = torch.from_numpy(data.labels)
    check_own_parts(model, info, images, labels, device)
    checks = NetworkChecks(
        model.arch,
        info.image_shape,
        info.n_classes,
        images,
        device,
        make_start,
    )
    checks.check_fresh_network()
    network = make_start().to(device)

    with explain_errors_in_file(model.arch, info.image_shape):
        history = train(
            network,
            images,
            labels,
            model,
            n_classes=info.n_classes,
            validation_mask=None if validation_mask is None else torch.from_numpy(validation_mask),
            checkpoint=checkpoint,
            quiet=quiet,
            products=products,
        )
    checks.check_trained_network(network)
    return FitResult(network, history)
