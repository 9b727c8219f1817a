"""One cell of a study: train a model anew and measure it: `python -m stages.study_cell --help`.

A fifth of the training rows is held out, by subject where there are ids, the same fifth for all
cells; the test rows are never read. The scaler was fitted on all training rows, so it saw those
held out: their means and deviations, never their labels.

What ends in the JSON file, losses being mean cross-entropies in nats:

- model, seed, lr, batch_size: what was trained; rows, held_out_rows: on how many
- constant_loss: the loss of the best constant answer, which is the entropy of the class shares
- start_loss, train_loss: on the rows trained on, before and after; held_out_loss, after
- train_accuracy, held_out_accuracy, and gap, their difference, after training
- best_loss: the lowest of an epoch, each batch's being that before its own step, as in history
- epochs_to_90, steps_to_90: until an epoch had 90 % training accuracy, or "never"
- largest_rise: of the loss from one epoch to the next, 0 if it only fell
- distance: length of the way from the first to the last weights, as the crow flies
- diverged: the last loss is NaN, or ten times that before training
- history: a row an epoch

With --curvature also, of a bounded number of training rows, the same for all cells:

- gradient_start, gradient_end: length of the gradient
- noise_scale_start, noise_scale_end: in rows, or "undefined"; see `src.measures.gradient_noise`
- sharpness: see `src.measures.sharpness`, also for what it does not say

A value that is not finite is left out; so is what is measured at the last weights of a cell that
diverged, but for its accuracies: NaN weights name class 0 for every row.
"""

import argparse
import math
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from src.arrays import read_array, read_images
from src.cli import InputError, OneLineParser, run
from src.device import set_up_device
from src.files import write_json
from src.measures import gradient_noise, loss_and_accuracy, sharpness, squared_norm
from src.meta import read_meta
from src.networks import NETWORKS
from src.params import read_params
from src.training import Epoch, train

FLAT = Path("data/flat")
SCALED = Path("data/scaled")
HELD_OUT = Path("studies/held_out.npy")
NOISE_ROWS, SHARPNESS_ROWS = 512, 128
TARGET = 0.9  # training accuracy
DIVERGED = 10  # times the loss before training: some runs explode without ever being NaN


class Rows(NamedTuple):
    x: torch.Tensor  # (N, C, H, W)
    y: torch.Tensor  # (N,)


def main() -> None:
    params = read_params()
    arguments = parse_arguments()
    if arguments.model not in params.models:
        raise InputError(
            f"params.yaml: models has no {arguments.model!r}, expected one of "
            f"{', '.join(params.models)}"
        )
    model, training = params.models[arguments.model], params.training(arguments.model)
    meta = read_meta(FLAT / "meta.json")
    device = set_up_device(training.threads, tf32=training.precision == "tf32")

    x = torch.from_numpy(read_images(SCALED / "x_train.npy", meta.image_shape))
    y = torch.from_numpy(read_array(FLAT / "y_train.npy"))
    chosen = torch.from_numpy(read_array(HELD_OUT))
    fitted = Rows(rows_of(x, ~chosen), y[~chosen])
    held_out = Rows(rows_of(x, chosen), y[chosen])

    batch_size = len(fitted.y) if arguments.batch_size == "all" else arguments.batch_size
    if batch_size is not None and batch_size > len(fitted.y):
        raise InputError(
            f"params.yaml: studies.batch_size.values has {batch_size}, more than the "
            f"{len(fitted.y)} rows that are not held out; name it 'all'"
        )
    batch_size = batch_size or min(model.batch_size, len(fitted.y))
    lr = model.lr if arguments.lr is None else arguments.lr
    if arguments.lr_rule == "linear":
        lr *= batch_size / model.batch_size

    torch.manual_seed(arguments.seed)
    network = NETWORKS[model.arch](meta.image_shape, len(meta.classes)).to(device)
    sample = few_rows(fitted, device) if arguments.curvature else None
    before = measures_before(network, fitted, sample)
    first = [parameter.detach().clone() for parameter in network.parameters()]
    history = train(
        network,
        *fitted,
        lr=lr,
        batch_size=batch_size,
        epochs=training.epochs,
        shuffle=training.shuffle,
        seed=arguments.seed,
        bf16=training.precision == "bf16",
    )
    after = measures_after(network, fitted, held_out)
    diverged = not after["train_loss"] < DIVERGED * before["start_loss"]  # NaN is not less
    cell: dict[str, Any] = {
        "model": arguments.model,
        "seed": arguments.seed,
        "lr": lr,
        "batch_size": batch_size,
        "rows": len(fitted.y),
        "held_out_rows": len(held_out.y),
        "diverged": diverged,
        **before,
        **after,
        **measures_of_history(history, steps_an_epoch=math.ceil(len(fitted.y) / batch_size)),
        **({} if diverged else measures_of_place(network, first, sample)),
        "history": [finite(epoch._asdict()) for epoch in history],
    }
    write_json(arguments.out, finite(cell))


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(prog="python -m stages.study_cell")
    parser.add_argument("model", help="a name under `models` in params.yaml")
    parser.add_argument("--seed", type=int, required=True, help="of the initial weights")
    parser.add_argument("--lr", type=float, help="in place of the model's own")
    parser.add_argument(
        "--batch-size", type=rows_or_all, help="in place of the model's own; all: every row"
    )
    parser.add_argument(
        "--lr-rule",
        choices=["fixed", "linear"],
        default="fixed",
        help="linear: lr in proportion to the batch (Goyal et al. 2017, arXiv:1706.02677), from "
        "the model's own pair; without their warm-up",
    )
    parser.add_argument(
        "--curvature", action="store_true", help="measure gradient noise and sharpness too"
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def rows_or_all(text: str) -> int | str:
    return text if text == "all" else int(text)


def rows_of(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Those rows of images (N, C, H, W); an axis of stride 0 is copied once and stays one."""
    once = x[:, :1] if x.stride(1) == 0 else x
    return once[rows].expand(-1, *x.shape[1:])


def few_rows(rows: Rows, device: torch.device) -> Rows:
    """The few rows that noise and sharpness are measured on, in a random order, on the device."""
    few = torch.from_numpy(np.random.default_rng(0).permutation(len(rows.y))[:NOISE_ROWS])
    return Rows(rows_of(rows.x, few).to(device), rows.y[few].to(device))


def measures_before(network: nn.Module, fitted: Rows, sample: Rows | None) -> dict[str, Any]:
    shares = fitted.y.bincount().double() / len(fitted.y)
    start_loss, _ = loss_and_accuracy(network, *fitted)
    return {
        "constant_loss": float(-torch.xlogy(shares, shares).sum()),
        "start_loss": start_loss,
        **({} if sample is None else noise_measures(network, sample, "start")),
    }


def measures_after(network: nn.Module, fitted: Rows, held_out: Rows) -> dict[str, float]:
    train_loss, train_accuracy = loss_and_accuracy(network, *fitted)
    held_out_loss, held_out_accuracy = loss_and_accuracy(network, *held_out)
    return {
        "train_loss": train_loss,
        "held_out_loss": held_out_loss,
        "train_accuracy": train_accuracy,
        "held_out_accuracy": held_out_accuracy,
        "gap": train_accuracy - held_out_accuracy,
    }


def measures_of_history(history: list[Epoch], steps_an_epoch: int) -> dict[str, float | str]:
    losses = [epoch.train_loss for epoch in history if math.isfinite(epoch.train_loss)]
    reached = [epoch.epoch + 1 for epoch in history if epoch.train_accuracy >= TARGET]
    return {
        "best_loss": min(losses, default=math.nan),
        "epochs_to_90": reached[0] if reached else "never",
        "steps_to_90": reached[0] * steps_an_epoch if reached else "never",
        "largest_rise": max([0.0, *(after - before for before, after in pairwise(losses))]),
    }


def measures_of_place(
    network: nn.Module, first: list[torch.Tensor], sample: Rows | None
) -> dict[str, float | str]:
    """How far the last weights are from the `first`, and what the loss looks like around them."""
    moves = [now.detach() - then for then, now in zip(first, network.parameters(), strict=True)]
    place: dict[str, float | str] = {"distance": squared_norm(moves) ** 0.5}
    if sample is not None:
        place |= noise_measures(network, sample, "end")
        place["sharpness"] = sharpness(
            network, sample.x[:SHARPNESS_ROWS], sample.y[:SHARPNESS_ROWS]
        )
    return place


def noise_measures(network: nn.Module, sample: Rows, when: str) -> dict[str, float | str]:
    noise = gradient_noise(network, *sample)
    scale = "undefined" if noise.scale is None else noise.scale
    return {f"gradient_{when}": noise.gradient_norm, f"noise_scale_{when}": scale}


def finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN and no infinity: such a value is left out."""
    return {k: v for k, v in values.items() if not isinstance(v, float) or math.isfinite(v)}


if __name__ == "__main__":
    run(main)
