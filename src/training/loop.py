"""The training loop, read from top to bottom."""

import copy
from collections.abc import Iterator

import torch
from torch import nn
from tqdm import tqdm

from src.cli import InputError
from src.storage.dataset import Epoch
from src.training.checkpoint import Checkpoint
from src.training.device import Step, graphed, tf32, to_device_if_it_fits
from src.training.folding import fold

STEPS_BETWEEN_CHECKS = 50  # for a NaN loss: each check makes the host wait for a GPU


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
    precision: str = "float32",
    checkpoint: Checkpoint | None = None,
    quiet: bool = False,
) -> list[Epoch]:
    """Train `network` in place, on the device that it is on; return its history.

    x: (N, C, H, W) float32, may be a memory map larger than memory; where all channels are equal,
    C may have a stride of 0. y: (N,) int64.

    Plain SGD on cross-entropy. Batches are rows in stored order or, with `shuffle`, in an order
    drawn each epoch from `seed`; the smaller last batch is kept. `precision` is that of products
    and convolutions (float32, tf32 or bf16); weights and their steps stay as they are.

    With a `checkpoint` that a killed run of the same training left, resume from there, to the same
    weights (on the CPU to the bit); `network` must be as it was at the start of that run.
    """
    device = next(network.parameters()).device
    x, y = to_device_if_it_fits(x, device), y.to(device)
    check_last_batch(network, x, batch_size)
    folded = fold(network, x)
    if folded is None:
        trained: nn.Module = network
        optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    else:
        trained, x = folded, x[:, : folded.channels]
        optimizer = torch.optim.SGD(folded.parameter_groups(lr), lr=lr, fused=True)
    step = training_step(trained, optimizer, precision)
    if folded is not None and device.type == "cuda":
        step = graphed(step, folded)
    generator = torch.Generator().manual_seed(seed)
    history: list[Epoch] = []
    if checkpoint is not None:
        history = [Epoch(*row) for row in checkpoint.restore(trained, optimizer, generator)]
    n_steps = -(-len(y) // batch_size)
    with (
        tf32(precision == "tf32"),
        tqdm(total=epochs * n_steps, initial=len(history) * n_steps, disable=None) as progress,
    ):
        for epoch in range(len(history), epochs):
            order = torch.randperm(len(y), generator=generator).to(x.device) if shuffle else None
            # Loss and accuracy stay on the device: reading them at every step would make the
            # host wait for it.
            losses = torch.full((n_steps,), torch.nan, device=device)
            correct = torch.zeros((), dtype=torch.int64, device=device)
            for i, (images, labels) in enumerate(batches(x, y, batch_size, order)):
                images = images.to(device)
                if folded is None:  # a copy of its own: a forward may use .view or change its input
                    images = images.clone(memory_format=torch.contiguous_format)
                losses[i], right = step(images, labels)
                correct += right
                progress.update()
                if (i + 1) % STEPS_BETWEEN_CHECKS == 0 and losses[: i + 1].isnan().any():
                    correct += (labels_after(y, order, (i + 1) * batch_size) == 0).sum()
                    break
            history.append(summary(epoch, losses, correct, len(y), batch_size))
            last = history[-1]
            progress.set_postfix(epoch=epoch, loss=f"{last.train_loss:.4g}")
            if progress.disable and not quiet:
                print(
                    f"epoch {epoch + 1}/{epochs}: loss {last.train_loss:.4g}, "
                    f"accuracy {last.train_accuracy:.1%}",
                    flush=True,
                )
            # A loss of NaN makes the gradient of the last layer NaN, and soon all weights: every
            # later prediction is class 0. An infinite loss can recover, so it ends nothing.
            if losses.isnan().any():
                set_to_nan(network)
                return history
            if checkpoint is not None and epoch + 1 < epochs:
                checkpoint.save(trained, optimizer, generator, history)
    optimizer.zero_grad()  # frees the gradients, which are as large as the weights
    if folded is not None:
        folded.unfold()
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        set_to_nan(network)
    return history


def training_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, precision: str = "float32"
) -> Step:
    """Return a function that takes one step on images (n, C, H, W) and labels (n,).

    It returns the loss and the number of rows that were right, both before the step.
    """

    def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = network(images)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach(), (logits.argmax(1) == labels).sum()

    return step


def check_last_batch(network: nn.Module, x: torch.Tensor, batch_size: int) -> None:
    """Raise InputError if the last batch is one row, of which a BatchNorm has no deviation."""
    if (len(x) - 1) % batch_size:
        return
    row = x[:1].to(next(network.parameters()).device).contiguous()
    try:
        with torch.random.fork_rng([row.device] if row.is_cuda else []), torch.no_grad():
            copy.deepcopy(network)(row)
    except ValueError as error:
        raise InputError(
            f"params.yaml: batch_size is {batch_size}, so the last batch of {len(x)} rows is one "
            f"row: {' '.join(str(error).split())}; take another batch_size"
        ) from None


def batches(
    x: torch.Tensor, y: torch.Tensor, batch_size: int, order: torch.Tensor | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of images and labels in stored order or in `order`, a permutation (N,)."""
    for start in range(0, len(y), batch_size):
        stop = start + batch_size
        rows = slice(start, stop) if order is None else order[start:stop]
        yield x[rows], y[rows]


def labels_after(y: torch.Tensor, order: torch.Tensor | None, start: int) -> torch.Tensor:
    return y[start:] if order is None else y[order[start:]]


def summary(
    epoch: int, losses: torch.Tensor, correct: torch.Tensor, n_rows: int, batch_size: int
) -> Epoch:
    """Return the row of the history, from the loss of each batch; NaN where one is NaN."""
    sizes = torch.full((len(losses),), batch_size)
    sizes[-1] = n_rows - batch_size * (len(losses) - 1)
    of_batches = losses.cpu().double()
    mean = float((of_batches * sizes).sum() / n_rows)
    return Epoch(epoch, mean, float(of_batches[-1]), int(correct) / n_rows)


@torch.no_grad()
def set_to_nan(network: nn.Module) -> None:
    """Set all floats of a run that diverged to NaN: which of them are depends on the moment."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
