"""The one training loop, read from top to bottom."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from src.device import to_device_if_it_fits


class Epoch(NamedTuple):
    """A row of the history. Accuracy and losses are of each batch before its own step."""

    epoch: int
    train_loss: float  # mean over the training rows
    last_batch_loss: float  # what the notebook prints
    train_accuracy: float  # NaN logits count as class 0, which is what argmax makes of them


def train(
    network: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    lr: float,
    batch_size: int,
    epochs: int,
    shuffle: bool,
    seed: int,
) -> list[Epoch]:
    """Train `network` in place, on the device that it is on; return its history.

    x: (N, C, H, W) float32, may be a memory map larger than memory. y: (N,) int64.

    Plain SGD, batches of rows in stored order (or, with `shuffle`, in an order drawn anew each
    epoch from `seed`), the smaller last batch kept. Cross-entropy applies log-softmax to the
    logits once. The notebook applied it twice, to the same effect: the exponentials of
    log-probabilities sum to 1, so the second log-softmax subtracts log(1) = 0.
    """
    device = next(network.parameters()).device
    n_rows = len(x)
    x, y = to_device_if_it_fits(x, device), y.to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(seed)
    starts = range(0, n_rows, batch_size)
    sizes = torch.tensor([min(batch_size, n_rows - start) for start in starts])
    history: list[Epoch] = []
    network.train()
    with tqdm(total=epochs * len(starts), unit="step", disable=None) as progress:
        for epoch in range(epochs):
            order = torch.randperm(n_rows, generator=generator) if shuffle else None
            if order is not None:
                order = order.to(x.device)
            # Loss and accuracy stay on the device and are read once an epoch: reading them at
            # every step would make the host wait for it.
            losses = torch.empty(len(starts), device=device)
            correct = torch.zeros((), dtype=torch.int64, device=device)
            for step, start in enumerate(starts):
                rows = slice(start, start + batch_size)
                batch = x[rows] if order is None else x[order[rows]]
                labels = y[rows] if order is None else y[order[rows].to(device)]
                logits = network(batch.to(device))
                loss = nn.functional.cross_entropy(logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[step] = loss.detach()
                correct += (logits.argmax(1) == labels).sum()
                progress.update()
            batch_losses = losses.cpu().double()
            history.append(
                Epoch(
                    epoch,
                    float((batch_losses * sizes).sum() / n_rows),
                    float(batch_losses[-1]),
                    int(correct) / n_rows,
                )
            )
            progress.set_postfix(epoch=epoch, loss=f"{history[-1].train_loss:.4g}")
            # A loss of NaN makes the gradient of the output bias NaN, so that bias is NaN for ever,
            # and so is every logit: argmax then says class 0 for every row. Training on would
            # change neither predictions nor metrics, only turn more of the weights into NaN. The
            # history ends with the epoch in which it happened: both losses NaN, the accuracy over
            # all its rows. An infinite loss can recover, so it ends nothing.
            if np.isnan(history[-1].train_loss):
                break
    return history
