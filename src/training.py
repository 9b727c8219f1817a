"""The one training loop, read from top to bottom."""

from typing import NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from src.checkpoint import Checkpoint
from src.device import LossWatch, Step, graphed, to_device_if_it_fits
from src.folding import Twin


class Epoch(NamedTuple):
    """A row of the history. Accuracy and losses are of each batch before its own step."""

    epoch: int
    train_loss: float  # mean over the training rows
    last_batch_loss: float  # what the notebook prints
    train_accuracy: float  # NaN logits count as class 0, which is what argmax makes of them


def train(
    network: nn.Sequential,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    lr: float,
    batch_size: int,
    epochs: int,
    shuffle: bool,
    seed: int,
    bf16: bool = False,
    checkpoint: Checkpoint | None = None,
) -> list[Epoch]:
    """Train `network` in place, on the device that it is on; return its history.

    x: (N, C, H, W) float32, may be a memory map larger than memory; where all channels are equal,
    C may have a stride of 0. y: (N,) int64.

    Plain SGD, batches of rows in stored order (or, with `shuffle`, in an order drawn anew each
    epoch from `seed`), the smaller last batch kept. Cross-entropy applies log-softmax to the
    logits once. The notebook applied it twice, to the same effect: the exponentials of
    log-probabilities sum to 1, so the second log-softmax subtracts log(1) = 0.

    With a `checkpoint` that a killed run of the same training left, go on from there, to the same
    weights (on the CPU to the bit); `network` must be as it was at that run's start.
    """
    device = next(network.parameters()).device
    n_rows = len(x)
    x, y = to_device_if_it_fits(x, device), y.to(device)
    twin = Twin(network, x, lr)
    x = x[:, : twin.channels]  # equal channels need not travel with every batch
    step = sgd_step(twin, lr, bf16)
    if device.type == "cuda":
        step = graphed(step, twin)
    watch = LossWatch()
    generator = torch.Generator().manual_seed(seed)
    starts = range(0, n_rows, batch_size)
    sizes = torch.tensor([min(batch_size, n_rows - start) for start in starts])
    history: list[Epoch] = []
    if checkpoint is not None:
        rows = checkpoint.restore(twin.layers, generator)
        history = [Epoch(int(epoch), *rest) for epoch, *rest in rows]
    done = len(history) * len(starts)
    with tqdm(total=epochs * len(starts), initial=done, unit="step", disable=None) as progress:
        for epoch in range(len(history), epochs):
            order = torch.randperm(n_rows, generator=generator) if shuffle else None
            orders = order if order is None else (order.to(x.device), order.to(device))
            # Loss and accuracy stay on the device and are read once an epoch: reading them at
            # every step would make the host wait for it.
            losses = torch.full((len(starts),), torch.nan, device=device)
            correct = torch.zeros((), dtype=torch.int64, device=device)
            for i, start in enumerate(starts):
                batch, labels = rows_of(x, y, slice(start, start + batch_size), orders)
                loss, right = step(batch.to(device), labels)
                losses[i] = loss
                correct += right
                progress.update()
                # A loss of NaN makes the gradient of the output bias NaN, so that bias is NaN for
                # ever, and so is every logit: argmax then says class 0 for every row. Training on
                # would change neither predictions nor metrics. So the run ends here, and the rest
                # of the epoch is known without computing it: the history's last row holds NaN for
                # both losses and the accuracy over all rows. An infinite loss can recover, so it
                # ends nothing.
                if watch.saw_nan(loss):
                    _, rest = rows_of(x, y, slice(start + batch_size, n_rows), orders)
                    correct += (rest == 0).sum()
                    break
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
            if batch_losses.isnan().any():
                # Which weights are NaN already depends on when the stop came: make it all of them.
                with torch.no_grad():
                    for parameter in network.parameters():
                        parameter.fill_(torch.nan)
                return history
            if checkpoint is not None and epoch + 1 < epochs:
                checkpoint.save(twin.layers, generator, history)
    twin.unfold()
    return history


def sgd_step(twin: Twin, lr: float, bf16: bool = False) -> Step:
    """A function of images (n, C, H, W) and labels (n,): one step; the loss, and how many right.

    With `bf16`, layers multiply in bfloat16, all but the backward pass of linear ones; weights,
    their steps and the loss stay float32.
    """
    optimizer = twin.optimizer(lr)

    def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = twin(images).float()
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach(), (logits.argmax(1) == labels).sum()

    return step


def rows_of(
    x: torch.Tensor,
    y: torch.Tensor,
    rows: slice,
    orders: tuple[torch.Tensor, torch.Tensor] | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Those rows and labels, of the stored order or of `orders`: one on each one's device."""
    if orders is None:
        return x[rows], y[rows]
    of_x, of_y = orders
    return x[of_x[rows]], y[of_y[rows]]
