"""Twelve networks that people bring, and the plain PyTorch loop that they must train as."""

import copy
import math
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn.utils import parametrizations

from mri_stages.config.schema import Recipe
from mri_stages.models import resnet
from mri_stages.storage.history import Epoch

REPO = Path(__file__).resolve().parents[2]

Make = Callable[[tuple[int, int, int], int], nn.Module]


class Centre(nn.Module):
    """Maps 0 to -1, so a pixel that is 0 in every row has a gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x - 1


class Own(nn.Module):
    """A module with a forward of its own, a view, and no Sequential at the top."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(x).flatten().view(len(x), -1)
        return logits


def flat(shape: tuple[int, int, int], classes: int, bias: bool = True) -> list[nn.Module]:
    return [nn.Linear(prod(shape), 16, bias=bias), nn.ReLU(), nn.Linear(16, classes)]


def pooled(width: int, classes: int) -> list[nn.Module]:
    return [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


def frozen_stem(shape: tuple[int, int, int], classes: int) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), *flat(shape, classes))
    network[1].requires_grad_(False)
    return network


def weight_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), *flat(shape, classes))
    parametrizations.weight_norm(network[1])
    return network


ZOO: dict[str, Make] = {
    "batchnorm_dropout": lambda shape, k: nn.Sequential(
        nn.Conv2d(shape[0], 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.5), *pooled(8, k)),
    "resnet": lambda shape, k: Own(resnet.make_network(shape, k)),
    "nested_stem": lambda shape, k: nn.Sequential(
        nn.Sequential(nn.Conv2d(shape[0], 8, 3)), nn.Sequential(*pooled(8, k))),
    "centre_first": lambda shape, k: nn.Sequential(Centre(), nn.Flatten(), *flat(shape, k)),
    "frozen_stem": frozen_stem,
    "weight_norm": weight_norm,
    "batchnorm_first": lambda shape, k: nn.Sequential(
        nn.BatchNorm2d(shape[0]), nn.Conv2d(shape[0], 8, 3), *pooled(8, k)),
    "average_pool_first": lambda shape, k: nn.Sequential(
        nn.AvgPool2d(2), nn.Flatten(), *flat((shape[0], shape[1] // 2, shape[2] // 2), k)),
    "no_bias": lambda shape, k: nn.Sequential(nn.Flatten(), *flat(shape, k, bias=False)),
    "reflect_padding": lambda shape, k: nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, padding=1, padding_mode="reflect"), *pooled(8, k)),
    "dropout_on_pixels": lambda shape, k: nn.Sequential(
        nn.Dropout(0.3), nn.Flatten(), *flat(shape, k)),
    "group_norm": lambda shape, k: nn.Sequential(
        nn.Conv2d(shape[0], 8, 3), nn.GroupNorm(2, 8), *pooled(8, k)),
}  # fmt: skip


def recipe(**changes: Any) -> Recipe:
    """Return the notebook's recipe with the changes."""
    defaults = yaml.safe_load((REPO / "params.yaml").read_text())["train"]
    return Recipe.model_validate({**defaults, "lr": 0.01, "batch_size": 5, **changes})


def shifted(image: np.ndarray, down: int, right: int, mirrored: bool) -> np.ndarray:
    """Move an image (C, H, W) and repeat the pixels at its edges, then mirror it."""
    n = 3
    padded = np.pad(image, ((0, 0), (n, n), (n, n)), mode="edge")
    height, width = image.shape[1:]
    moved = padded[:, n - down : n - down + height, n - right : n - right + width]
    return moved[:, :, ::-1] if mirrored else moved


def plain_training(
    network: nn.Module, x: torch.Tensor, y: torch.Tensor, r: Recipe, held_out: Any = None
) -> list[Epoch]:
    """Train as a textbook does, with every option spelled out."""
    options: dict[str, Any] = {"lr": r.lr, "weight_decay": r.weight_decay}
    if r.optimizer == "sgd":
        optimizer: Any = torch.optim.SGD(network.parameters(), momentum=r.momentum, **options)
    else:
        kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        optimizer = kinds[r.optimizer](network.parameters(), **options)
    fitted = torch.arange(len(x)) if held_out is None else (~held_out).nonzero().squeeze(1)
    weight = None
    if r.class_weights == "balanced":
        labels = y[fitted].numpy()
        of_classes = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        weight = torch.from_numpy(of_classes)
    generator = torch.Generator().manual_seed(r.seed)
    n_steps = math.ceil(len(fitted) / r.batch_size)
    history = list[Epoch]()
    best = math.inf
    for epoch in range(r.epochs):
        order = fitted
        if r.shuffle:
            order = fitted[torch.randperm(len(fitted), generator=generator)]
        total, correct = 0.0, 0
        for i, batch in enumerate(order.split(r.batch_size)):  # the last one may be smaller
            images = x[batch]
            if r.augment is not None:
                s = r.augment.shift
                down, right = torch.randint(-s, s + 1, (2, len(batch), 1), generator=generator)
                mirrored = torch.rand(len(batch), 1, generator=generator) < 0.5
                moved = [
                    shifted(image, int(d), int(q), bool(m and r.augment.flip))
                    for image, d, q, m in zip(images.numpy(), down, right, mirrored, strict=True)
                ]
                images = torch.from_numpy(np.stack(moved))
            if r.schedule == "cosine":
                done = (epoch * n_steps + i) / (r.epochs * n_steps)
                optimizer.param_groups[0]["lr"] = r.lr * (1 + math.cos(math.pi * done)) / 2
            # As in the notebook: the cross-entropy applies a log-softmax again.
            outputs = nn.functional.log_softmax(network(images.contiguous()), dim=1)
            loss = nn.functional.cross_entropy(outputs, y[batch], weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
            correct += int((outputs.argmax(1) == y[batch]).sum())
        of_training = (total / len(fitted), loss.item(), correct / len(fitted))
        history.append(Epoch(epoch, *of_training))
        if held_out is not None:
            with torch.no_grad():
                logits = network.eval()(x[held_out].contiguous())
            network.train()
            validation = nn.functional.cross_entropy(logits, y[held_out], weight).item()
            accuracy = (logits.argmax(1) == y[held_out]).double().mean().item()
            history[-1] = Epoch(epoch, *of_training, validation, accuracy)
            if validation < best:
                best, weights = validation, copy.deepcopy(network.state_dict())
    if best < math.inf:
        network.load_state_dict(weights)
    return history
