"""Checks of a model's own parts: `augment` and `loss` of its architecture's file.

They try both on a few rows before a training, and put all random numbers back.
"""

import torch

from mri_stages.config.schema import Model
from mri_stages.errors import InputError
from mri_stages.models import (
    describe_network,
    describe_output,
    explain_network_errors,
    keep_random_state,
)
from mri_stages.storage.dataset import Info
from mri_stages.training.augmentation import make_augmentation
from mri_stages.training.images import Images, read_images
from mri_stages.training.network_checks import N_PROBED_ROWS
from mri_stages.training.optimization import compute_class_weights, make_loss

EXPECTED_AUGMENT = "a function augment(images, generator) that takes such images"
EXPECTED_LOSS = "a function loss(logits, labels, weights) with weights (K,) or None"


def check_own_parts(
    model: Model, info: Info, images: Images, labels: torch.Tensor, device: torch.device
) -> None:
    """Raise InputError if an own part of the model is missing or cannot be used in a training.

    images: (N, C, H, W), scaled, and labels: (N,), all training rows.
    """
    # Rows from the whole of the data: neighbours are often of one class.
    n_probed = min(N_PROBED_ROWS, len(images))
    indices = torch.arange(n_probed) * len(images) // n_probed
    if model.augment == "own":
        check_own_augment(model, info, read_images(images, indices, device))
    if model.loss == "own":
        class_weights = compute_class_weights(model, labels, info.n_classes)
        if class_weights is not None:
            class_weights = class_weights.to(device)
        check_own_loss(model, info, labels[indices].to(device), class_weights)


def check_own_augment(model: Model, info: Info, images: torch.Tensor) -> None:
    """Raise InputError unless the model's `augment` returns finite images, equal in two calls.

    images: (n, C, H, W), on the device of the training.
    """
    augment = make_augmentation(model)
    assert augment is not None
    results = []
    with keep_random_state(images.device):
        for _ in range(2):
            torch.manual_seed(model.seed)
            generator = torch.Generator().manual_seed(model.seed)
            with explain_network_errors(model.arch, info.image_shape, EXPECTED_AUGMENT):
                results.append(augment(images.clone(), generator))

    name = describe_network(model.arch, info.image_shape)
    first_result, second_result = results
    if not first_result.isfinite().all():
        raise InputError(
            f"{name}: augment returned NaN or infinity for scaled training images, expected "
            "finite pixels"
        )
    if not first_result.equal(second_result):
        raise InputError(
            f"{name}: two calls of augment with the same generator differ, expected equal images; "
            "draw all random numbers from it, as in torch.rand(n, generator=generator)"
        )


def check_own_loss(
    model: Model, info: Info, labels: torch.Tensor, class_weights: torch.Tensor | None
) -> None:
    """Raise InputError unless the model's `loss` returns a finite scalar that can be lowered.

    It is called for logits drawn at random, as a training and as its validation call it.
    labels: (n,), and class_weights: (K,) or None, on the device of the training.
    """
    compute_loss = make_loss(model)
    generator = torch.Generator().manual_seed(model.seed)
    logits = torch.randn(len(labels), info.n_classes, generator=generator).to(labels.device)
    logits.requires_grad_()
    validation_logits = logits.detach().cpu().double()
    validation_weights = None if class_weights is None else class_weights.cpu()

    with (
        keep_random_state(labels.device),
        explain_network_errors(model.arch, info.image_shape, EXPECTED_LOSS),
    ):
        loss = compute_loss(logits, labels, class_weights)
        check_loss(loss, model)
        check_gradient(loss, logits, model)
        with torch.inference_mode():
            validation_loss = compute_loss(validation_logits, labels.cpu(), validation_weights)
        check_loss(validation_loss, model)


def check_loss(loss: object, model: Model) -> None:
    """Raise InputError unless a user's `loss` returned a finite scalar."""
    name = f"src/mri_stages/models/{model.arch}.py"
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        raise InputError(
            f"{name}: loss returned {describe_output(loss)}, expected a scalar, the mean over rows"
        )
    if not loss.isfinite():
        raise InputError(
            f"{name}: loss is {loss.item()} for a few rows with logits drawn at random, expected "
            "a finite number"
        )


def check_gradient(loss: torch.Tensor, logits: torch.Tensor, model: Model) -> None:
    """Raise InputError unless a user's `loss` has a finite gradient in the logits (n, K)."""
    name = f"src/mri_stages/models/{model.arch}.py"
    if not loss.requires_grad:
        raise InputError(
            f"{name}: loss has no gradient, so it cannot train; expected one that is computed from "
            "the logits by PyTorch alone"
        )
    (gradient,) = torch.autograd.grad(loss, logits)
    if not gradient.isfinite().all():
        raise InputError(
            f"{name}: the gradient of loss is NaN or infinite for a few rows with logits drawn at "
            "random, expected finite numbers"
        )
