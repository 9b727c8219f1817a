"""The training loop, read from top to bottom."""

import copy
import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from tqdm import tqdm

from mri_stages.config.schema import Recipe
from mri_stages.errors import InputError
from mri_stages.storage.history import Epoch
from mri_stages.training.augmentation import augmented
from mri_stages.training.checkpoint import Checkpoint, Part
from mri_stages.training.condensed import fold
from mri_stages.training.cuda_graphs import Pair, Step, capture_step
from mri_stages.training.device import move_to_device_if_it_fits, use_precision
from mri_stages.training.optimization import class_weights, cross_entropy, make_optimizer
from mri_stages.training.validation import lowest, validation

STEPS_BETWEEN_CHECKS = 50  # for a NaN loss: each check makes the host wait for a GPU


def train(
    network: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    recipe: Recipe,
    *,
    held_out: torch.Tensor | None = None,
    checkpoint: Checkpoint | None = None,
    quiet: bool = False,
) -> list[Epoch]:
    """Train `network` in place, on the device that it is on; return its history.

    x: (N, C, H, W) float32, may be a memory map larger than memory; equal channels may have a
    stride of 0. y: (N,) int64. held_out: (N,) bool, the rows for validation: the weights of the
    epoch with the lowest loss on them are kept. checkpoint: where a killed run of the same training
    on the same fresh `network` left one, resume to the same weights (on the CPU to the bit).
    """
    device = next(network.parameters()).device
    x, y = move_to_device_if_it_fits(x, device), y.to(device)
    if held_out is None:
        held_out = torch.zeros(len(y), dtype=torch.bool)
    fitted, held = (chosen.nonzero().squeeze(1) for chosen in (~held_out, held_out))
    n_steps = -(-len(fitted) // recipe.batch_size)
    check(recipe, network, x, len(fitted))

    folded = fold(network, x, recipe)
    if folded is None:
        trained: nn.Module = network
        optimizer = make_optimizer(recipe, network.parameters())
    else:
        trained, x = folded, x[:, : folded.channels]
        optimizer = torch.optim.SGD(folded.parameter_groups(recipe.lr), lr=recipe.lr, fused=True)
    parts: list[Part] = [trained, optimizer]  # of a checkpoint
    schedule = None
    if recipe.schedule == "cosine":
        schedule = CosineAnnealingLR(optimizer, recipe.epochs * n_steps)
        parts.append(schedule)
    weights = class_weights(recipe, y[fitted.to(device)], int(y.max()) + 1)
    step = training_step(trained, optimizer, recipe.precision, weights)
    if folded is not None and device.type == "cuda":
        step = capture_step(step, folded)

    generator = torch.Generator().manual_seed(recipe.seed)
    history: list[Epoch] = []
    best: dict[str, Any] | None = None  # the weights after the epoch `lowest(history)`
    if checkpoint is not None:
        rows_of_history, best = checkpoint.restore(parts, generator)
        history = [Epoch(*row) for row in rows_of_history]
    bar = tqdm(total=recipe.epochs * n_steps, initial=len(history) * n_steps, disable=None)
    with use_precision(recipe.precision), bar:
        for epoch in range(len(history), recipe.epochs):
            order = fitted
            if recipe.shuffle:
                order = fitted[torch.randperm(len(fitted), generator=generator)]
            labels_in_order = y[order.to(device)]
            batches = labels_in_order.split(recipe.batch_size)
            # On the device: reading them at every step would make the host wait for it.
            losses = torch.full((n_steps,), torch.nan, device=device)
            correct = torch.zeros((), dtype=torch.int64, device=device)
            for i, rows in enumerate(order.to(x.device).split(recipe.batch_size)):
                images = x.index_select(0, rows).to(device)
                if recipe.augment is not None:
                    images = augmented(images, recipe.augment, generator)
                losses[i], right = step(images, batches[i])
                correct += right
                if schedule is not None:
                    schedule.step()
                bar.update()
                if (i + 1) % STEPS_BETWEEN_CHECKS == 0 and losses[: i + 1].isnan().any():
                    # NaN logits count as class 0.
                    correct += (labels_in_order[(i + 1) * recipe.batch_size :] == 0).sum()
                    break

            sizes = torch.tensor([len(labels) for labels in batches])
            of_batches = losses.cpu().double()
            loss = float((of_batches * sizes).sum() / len(fitted))
            row = Epoch(epoch, loss, float(of_batches[-1]), int(correct) / len(fitted))
            if len(held):
                row = Epoch(*row[:4], *validation(trained, x, y, held, weights))
            history.append(row)
            if lowest(history) == epoch:
                best = copy.deepcopy(trained.state_dict())
            bar.set_postfix(epoch=epoch, loss=f"{loss:.4g}")
            if bar.disable and not quiet:
                print(f"epoch {epoch + 1}/{recipe.epochs}: {row.in_words()}", flush=True)
            # A loss of NaN makes the gradient of the last layer NaN, and soon all weights: every
            # later prediction is class 0. An infinite loss can recover, so it ends nothing.
            if math.isnan(loss) or (recipe.patience and epoch - lowest(history) >= recipe.patience):
                break
            if checkpoint is not None and epoch + 1 < recipe.epochs:
                checkpoint.save(parts, generator, history, best)

    optimizer.zero_grad()  # frees the gradients, which are as large as the weights
    if best is not None:
        trained.load_state_dict(best)
    if folded is not None:
        folded.unfold()
    diverged = best is None and math.isnan(history[-1].train_loss)
    if diverged or not all(parameter.isfinite().all() for parameter in network.parameters()):
        for tensor in network.state_dict().values():  # which are NaN depends on the moment
            if tensor.is_floating_point():
                tensor.fill_(torch.nan)
    return history


def training_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: str = "float32",
    weights: torch.Tensor | None = None,
) -> Step:
    """Return a function that takes one step; it returns loss and right rows before the step."""

    def step(images: torch.Tensor, labels: torch.Tensor) -> Pair:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = network(images)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = cross_entropy(logits, labels, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach(), (logits.argmax(1) == labels).sum()

    return step


def check(recipe: Recipe, network: nn.Module, x: torch.Tensor, n_rows: int) -> None:
    """Raise InputError if the recipe does not fit the network or the images."""
    least = min(x.shape[2:])
    if recipe.augment is not None and recipe.augment.shift >= least:
        raise InputError(
            f"params.yaml: augment.shift is {recipe.augment.shift} pixels, expected less than the "
            f"{least} of an image"
        )
    if (n_rows - 1) % recipe.batch_size:
        return
    row = x[:1].to(next(network.parameters()).device).contiguous()
    try:  # a BatchNorm has no deviation of a last batch of one row
        with torch.random.fork_rng([row.device] if row.is_cuda else []), torch.no_grad():
            copy.deepcopy(network)(row)
    except ValueError as error:
        raise InputError(
            f"params.yaml: batch_size is {recipe.batch_size}, so the last batch of {n_rows} rows "
            f"is one row: {' '.join(str(error).split())}; take another batch_size"
        ) from None
