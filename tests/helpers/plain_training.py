"""The plain PyTorch loop that every training must equal, with its recipes and rows."""

import copy
import math
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from mri_stages.config.schema import Augment, Model
from mri_stages.storage.history import Epoch
from tests.helpers import own_parts
from tests.helpers.networks import ZOO
from tests.helpers.params import DEFAULT_PARAMS

N_ROWS = 23
N_CLASSES = 4
SHAPE = (3, 16, 18)


def make_recipe(**changes: Any) -> Model:
    """Return a model with the notebook's recipe: plain SGD, in batches of 5, with the changes.

    Its own parts are those of tests/helpers/own_parts.py.
    """
    defaults = DEFAULT_PARAMS["train"] | {"lr": 0.1, "batch_size": 5, "seed": 4}
    model = Model.model_validate({**defaults, "arch": "simple_nn2", **changes})
    return model.model_copy(update={"arch": "own_parts"})


def make_zoo_network(name: str) -> nn.Module:
    """Return a network in float64, so that no kind of CPU rounds its way to other weights.

    It also seeds the random numbers of dropout, so make it right before its training.
    """
    torch.manual_seed(5)
    return ZOO[name](SHAPE, N_CLASSES).double()


def make_rows(equal: bool = True, constant: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images, and labels of classes that are not equally frequent.

    equal: the channels are equal, and stored once. constant: some pixels are 0 in all images.
    """
    generator = torch.Generator().manual_seed(2)
    channels = 1 if equal else 3
    images = torch.randn(N_ROWS, channels, *SHAPE[1:], generator=generator, dtype=torch.float64)
    if constant:
        images[:, :, :5] = 0
    labels = (torch.arange(N_ROWS) % 5).clamp(max=N_CLASSES - 1)
    return images.expand(-1, 3, -1, -1), labels


def assert_same_state(
    network: nn.Module, expected: nn.Module, rtol: float = 1e-6, atol: float = 1e-9
) -> None:
    states = dict(network.state_dict()), dict(expected.state_dict())
    torch.testing.assert_close(*states, rtol=rtol, atol=atol, equal_nan=True)  # names the tensor


def train_plainly(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: Model,
    validation_mask: torch.Tensor | None = None,
) -> list[Epoch]:
    """Train as a textbook does, with every option spelled out."""
    optimizer = make_plain_optimizer(network, recipe)
    train_indices = torch.arange(len(images))
    if validation_mask is not None:
        train_indices = train_indices[~validation_mask]
    weight = None
    if recipe.class_weights == "balanced":
        train_labels = labels[train_indices].numpy()
        class_weights = compute_class_weight(
            "balanced", classes=np.unique(train_labels), y=train_labels
        )
        weight = torch.from_numpy(class_weights).to(images.dtype)

    generator = torch.Generator().manual_seed(recipe.seed)
    n_steps = math.ceil(len(train_indices) / recipe.batch_size)
    history: list[Epoch] = []
    best_loss = math.inf
    for epoch in range(recipe.epochs):
        order = train_indices
        if recipe.shuffle:
            order = order[torch.randperm(len(order), generator=generator)]

        total_loss = 0.0
        n_correct = 0
        for i, batch in enumerate(order.split(recipe.batch_size)):  # the last one may be smaller
            batch_images = images[batch]
            if recipe.augment is not None:
                batch_images = augment_plainly(batch_images, recipe.augment, generator)
            factor = 1.0
            if recipe.schedule == "cosine":
                n_warmup_epochs = recipe.warmup_epochs
                progress = (epoch - n_warmup_epochs + i / n_steps) / (
                    recipe.epochs - n_warmup_epochs
                )
                factor = (1 + math.cos(math.pi * progress)) / 2
            if epoch < recipe.warmup_epochs:
                factor = (epoch * n_steps + i + 1) / (recipe.warmup_epochs * n_steps)
            optimizer.param_groups[0]["lr"] = recipe.lr * factor

            # As in the notebook: the cross-entropy applies a log-softmax again.
            outputs = nn.functional.log_softmax(network(batch_images.contiguous()), dim=1)
            loss = compute_plain_loss(outputs, labels[batch], weight, recipe)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total_loss += loss.item() * len(batch)
            n_correct += int((outputs.argmax(1) == labels[batch]).sum())
        row = Epoch(epoch + 1, total_loss / len(order), loss.item(), n_correct / len(order))

        if validation_mask is not None:
            with torch.no_grad():
                logits = network.eval()(images[validation_mask].contiguous())
            network.train()
            expected = labels[validation_mask]
            validation_loss = compute_plain_loss(logits, expected, weight, recipe).item()
            accuracy = (logits.argmax(1) == expected).double().mean().item()
            row = row._replace(validation_loss=validation_loss, validation_accuracy=accuracy)
            if validation_loss < best_loss:
                best_loss = validation_loss
                best_weights = copy.deepcopy(network.state_dict())
        history.append(row)

    if best_loss < math.inf:
        network.load_state_dict(best_weights)
    return history


def compute_plain_loss(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, recipe: Model
) -> torch.Tensor:
    """Return the loss of the recipe, with each label as the probabilities of all classes."""
    if recipe.loss == "own":
        return own_parts.loss(logits, labels, weight)
    if recipe.label_smoothing == 0:
        return nn.functional.cross_entropy(logits, labels, weight)

    n_classes = logits.shape[1]
    one_hot = nn.functional.one_hot(labels, n_classes)
    targets = (1 - recipe.label_smoothing) * one_hot + recipe.label_smoothing / n_classes
    row_losses = -(targets * logits.log_softmax(1)).sum(1)
    row_weights = torch.ones_like(row_losses) if weight is None else weight[labels]
    return (row_weights * row_losses).sum() / row_weights.sum()


def make_plain_optimizer(network: nn.Module, recipe: Model) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=recipe.momentum, **options)
    kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer: torch.optim.Optimizer = kinds[recipe.optimizer](network.parameters(), **options)
    return optimizer


def augment_plainly(
    images: torch.Tensor, options: Augment | str, generator: torch.Generator
) -> torch.Tensor:
    """Return the images, one after the other changed at random."""
    if not isinstance(options, Augment):
        return own_parts.augment(images, generator)
    size = (2, len(images), 1)
    down, right = torch.randint(-options.shift, options.shift + 1, size, generator=generator)
    is_mirrored = torch.rand(len(images), 1, generator=generator) < 0.5
    degrees = draw_numbers(len(images), options.rotation, generator)
    brightness = draw_numbers(len(images), options.brightness, generator)
    contrast = draw_numbers(len(images), options.contrast, generator)
    augmented = []
    for i, image in enumerate(images.numpy()):
        image = shift_image(image, int(down[i]), int(right[i]))
        if is_mirrored[i] and options.flip:
            image = image[:, :, ::-1]
        if options.rotation > 0:
            image = ndimage.rotate(
                image, degrees[i], axes=(1, 2), reshape=False, order=1, mode="nearest"
            )
        image = image + brightness[i]
        image = image.mean() + (1 + contrast[i]) * (image - image.mean())
        augmented.append(image)
    return torch.from_numpy(np.stack(augmented))


def draw_numbers(n: int, largest: float, generator: torch.Generator) -> list[float]:
    """Return n numbers between -largest and largest, without a draw where that is 0."""
    if largest == 0:
        return [0.0] * n
    numbers: list[float] = ((2 * torch.rand(n, generator=generator) - 1) * largest).tolist()
    return numbers


def shift_image(image: np.ndarray, down: int, right: int, margin: int = 3) -> np.ndarray:
    """Move an image (C, H, W) by up to `margin` pixels and repeat the pixels at its edges."""
    padded = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    height, width = image.shape[1:]
    top = margin - down
    left = margin - right
    return padded[:, top : top + height, left : left + width]
