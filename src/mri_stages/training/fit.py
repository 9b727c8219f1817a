"""The one door to training: build a network, choose its validation rows, train it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from mri_stages.config.schema import Model
from mri_stages.models import make_network
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.storage.history import Epoch
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.device import set_up_device
from mri_stages.training.freezing import freeze_parts
from mri_stages.training.initial_weights import (
    StateDict,
    fill_from_file,
    read_bytes_of_hash,
    read_state_dict,
)
from mri_stages.training.loop import train
from mri_stages.training.network_checks import NetworkChecks
from mri_stages.training.own_part_checks import check_own_parts
from mri_stages.training.validation import choose_validation_rows


class FitResult(NamedTuple):
    """A trained network, on the device that it was trained on, and its history."""

    network: nn.Module
    history: list[Epoch]


def build_network(model: Model, info: Info) -> nn.Module:
    """Return a fresh network on the CPU; all its weights are those of `model.seed`.

    This also seeds PyTorch's random numbers, from which dropout draws during a training.
    """
    return make_network(model.arch, info.image_shape, len(info.classes), model.seed, model.options)


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


def fit(
    model: Model,
    data: LabelledImages,
    info: Info,
    *,
    checkpoint: Checkpoint | None = None,
    quiet: bool = False,
) -> FitResult:
    """Train a network on `data` as the recipe of `model` says; return it with its history.

    Its training begins with fresh weights, or with those of the file that the model names.
    Its frozen parts do not change. InputError if the network cannot be trained, predicted with and
    saved, see network_checks.py, or if the model's own loss or augmentation cannot be used, see
    own_part_checks.py.

    checkpoint: where a killed run of the same training left one, the training resumes from it.
    quiet: print no line per epoch.
    """
    make_start = prepare_start(model, info)
    validation_mask = choose_validation_rows(model, data.labels, data.subjects, info.classes)
    device = set_up_device(model.threads)
    images = torch.from_numpy(data.images)
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

    history = train(
        network,
        images,
        labels,
        model,
        n_classes=info.n_classes,
        validation_mask=None if validation_mask is None else torch.from_numpy(validation_mask),
        checkpoint=checkpoint,
        quiet=quiet,
    )
    checks.check_trained_network(network)
    return FitResult(network, history)
