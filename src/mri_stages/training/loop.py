"""The training loop: `train` lists the steps, `TrainingRun` takes them, in the same order."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn
from tqdm import tqdm

from mri_stages.config.schema import Model
from mri_stages.console import announce_progress
from mri_stages.storage.history import Epoch, find_best_epoch
from mri_stages.storage.weights import collect_tensors
from mri_stages.training.augmentation import make_augmentation
from mri_stages.training.checkpoint import Checkpoint, Stateful, Weights
from mri_stages.training.checks import check_recipe
from mri_stages.training.condensed import condense
from mri_stages.training.cuda_graphs import Step, StepResult, capture_step, should_capture
from mri_stages.training.device import move_to_device_if_it_fits, use_precision
from mri_stages.training.images import Images, read_images
from mri_stages.training.layout import (
    choose_batch_layout,
    choose_training_layout,
    reorder_batch,
)
from mri_stages.training.network_checks import N_PROBED_ROWS, keep_buffers, outputs_differ
from mri_stages.training.optimization import (
    Loss,
    Optimizer,
    compute_class_weights,
    make_loss,
    make_optimizer,
    make_schedule,
)
from mri_stages.training.predict import predict_logits
from mri_stages.training.validation import count_epochs_since_best, score_validation_rows

STEPS_BETWEEN_NAN_CHECKS = 50  # each check makes the host wait for a GPU


def train(
    network: nn.Module,
    images: Images,
    labels: torch.Tensor,
    recipe: Model,
    *,
    n_classes: int | None = None,
    validation_mask: torch.Tensor | None = None,
    checkpoint: Checkpoint | None = None,
    quiet: bool = False,
    products: torch.Tensor | None = None,
) -> list[Epoch]:
    """Train `network` in place, on the device that it is on; return its history.

    images: (N, C, H, W) float32, may be a memory map larger than memory, or be scaled on reading;
    equal channels may have a stride of 0. labels: (N,) int64. n_classes: of the network, where the
    highest label may be absent from `labels`. validation_mask: (N,) bool, the rows that do not
    train; the weights of the epoch with the lowest loss on them are kept. checkpoint: if a killed
    run of the same training of the same fresh `network` left one, resume to the same weights (on
    the CPU to the bit). quiet: print no line per epoch. products: as in `condense`.
    """
    run = TrainingRun(network, images, labels, recipe, validation_mask, n_classes, products)
    if checkpoint is not None:
        run.resume(checkpoint)

    announce_progress(len(run.history), recipe.epochs)
    with use_precision(recipe.precision), run.make_bar() as bar:
        for epoch in range(len(run.history) + 1, recipe.epochs + 1):
            row = run.train_epoch(epoch, bar)
            row = run.validate(row)
            run.history.append(row)
            run.keep_best()
            report_epoch(row, recipe.epochs, bar, quiet)

            if run.should_stop():
                break
            is_last = epoch == recipe.epochs
            if checkpoint is not None and not is_last:
                run.save(checkpoint)

    run.finish()
    if validation_mask is not None and not quiet:
        report_kept_epoch(run.history, recipe.epochs)
    return run.history


class TrainingRun:
    """One training. The constructor asks the recipe for all parts, the methods use them."""

    def __init__(
        self,
        network: nn.Module,
        images: Images,
        labels: torch.Tensor,
        recipe: Model,
        validation_mask: torch.Tensor | None = None,
        n_classes: int | None = None,
        products: torch.Tensor | None = None,
    ) -> None:
        self.network = network
        self.recipe = recipe

        # The rows: where they are, and which of them train.
        self.device = next(network.parameters()).device
        self.images = move_to_device_if_it_fits(images, self.device)
        self.labels = labels.to(self.device)
        if validation_mask is None:
            validation_mask = torch.zeros(len(labels), dtype=torch.bool)
        self.train_indices = (~validation_mask).nonzero().squeeze(1)
        self.validation_indices = validation_mask.nonzero().squeeze(1)
        self.steps_per_epoch = math.ceil(len(self.train_indices) / recipe.batch_size)
        check_recipe(recipe, network, self.images, len(self.train_indices))

        # The module that takes the steps: the network, or the same network with less arithmetic.
        self.condensed = condense(network, self.images, recipe, products)
        if self.condensed is None:
            self.module = network
            self.optimizer = make_optimizer(recipe, network.parameters())
            self.layout = choose_training_layout(network, self.images)
        else:
            self.module = self.condensed
            self.optimizer = self.condensed.make_optimizer(recipe.lr)
            self.images = self.condensed.select_inputs(self.images)
            self.layout = torch.contiguous_format  # it has a layout of its own
        self.prediction_layout = choose_batch_layout(self.module, self.images)

        # The step: augmentation, schedule, loss, and how a step runs.
        self.augment = make_augmentation(recipe)
        n_steps = recipe.epochs * self.steps_per_epoch
        self.schedule = make_schedule(recipe, self.optimizer, n_steps)
        if n_classes is None:
            n_classes = int(self.labels.max()) + 1
        train_labels = self.labels[self.train_indices.to(self.device)]
        self.class_weights = compute_class_weights(recipe, train_labels, n_classes)
        self.compute_loss = make_loss(recipe)
        self.step = make_step(
            self.module,
            self.optimizer,
            recipe.precision,
            self.compute_loss,
            self.class_weights,
            self.layout,
        )
        if self.condensed is not None and should_capture(recipe, self.device):
            self.step = capture_step(self.step, self.condensed)

        # The state that changes with every epoch, beside that of module, optimizer and schedule.
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.history: list[Epoch] = []
        self.best_weights: Weights | None = None

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue after the last epoch of the checkpoint, if there is one."""
        rows, self.best_weights = checkpoint.restore(
            self.list_parts(), self.generator, self.is_same_network
        )
        self.history = [Epoch(*row) for row in rows]

    def make_bar(self) -> "tqdm[None]":
        """Return a progress bar over all steps, from those of the resumed epochs on."""
        n_steps = self.recipe.epochs * self.steps_per_epoch
        first_step = len(self.history) * self.steps_per_epoch
        return tqdm(total=n_steps, initial=first_step, disable=None)

    def train_epoch(self, epoch: int, bar: "tqdm[None]") -> Epoch:
        """Take a step with each batch; return the epoch's row of the history.

        epoch: from 1.
        """
        batch_size = self.recipe.batch_size
        indices = self.order_train_indices()
        labels = self.labels[indices.to(self.device)]
        label_batches = labels.split(batch_size)

        # Results stay on the device: reading them at every step would make the host wait for it.
        losses = torch.full((self.steps_per_epoch,), torch.nan, device=self.device)
        n_correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for i, batch_indices in enumerate(indices.to(self.images.device).split(batch_size)):
            images = read_images(self.images, batch_indices, self.device)
            if self.augment is not None:
                images = self.augment(images, self.generator)

            losses[i], batch_n_correct = self.step(images, label_batches[i])
            n_correct += batch_n_correct
            if self.schedule is not None:
                self.schedule.step()
            bar.update()

            n_steps = i + 1
            if n_steps % STEPS_BETWEEN_NAN_CHECKS == 0 and losses[:n_steps].isnan().any():
                # All later logits are NaN, which count as class 0.
                n_correct += (labels[n_steps * batch_size :] == 0).sum()
                break

        batch_sizes = torch.tensor([len(batch) for batch in label_batches])
        batch_losses = losses.cpu().double()
        return Epoch(
            epoch=epoch,
            train_loss=float((batch_losses * batch_sizes).sum() / len(indices)),
            last_batch_loss=float(batch_losses[-1]),
            train_accuracy=int(n_correct) / len(indices),
        )

    def order_train_indices(self) -> torch.Tensor:
        """Return the indices of the training rows: as they are stored, or shuffled."""
        if not self.recipe.shuffle:
            return self.train_indices
        return self.train_indices[torch.randperm(len(self.train_indices), generator=self.generator)]

    def validate(self, row: Epoch) -> Epoch:
        """Return the epoch's row with the scores of the validation rows, if there are any."""
        if len(self.validation_indices) == 0:
            return row
        loss, accuracy = score_validation_rows(
            self.module,
            self.images,
            self.labels,
            self.validation_indices,
            self.class_weights,
            self.compute_loss,
            self.prediction_layout,
        )
        return row._replace(validation_loss=loss, validation_accuracy=accuracy)

    def keep_best(self) -> None:
        """Copy the weights if the last epoch has the lowest validation loss so far."""
        if find_best_epoch(self.history) == self.history[-1].epoch:
            self.best_weights = copy.deepcopy(self.module.state_dict())

    def should_stop(self) -> bool:
        """Return whether no later epoch can be better, or none was for `patience` epochs."""
        # A NaN loss makes the gradient of the last layer NaN, and soon all weights: every later
        # prediction is class 0. An infinite loss can recover, so it ends nothing.
        if math.isnan(self.history[-1].train_loss):
            return True
        patience = self.recipe.patience
        return patience is not None and count_epochs_since_best(self.history) >= patience

    def save(self, checkpoint: Checkpoint) -> None:
        """Save the state for `resume`, unless the last save is under `checkpoint.seconds` ago."""
        checkpoint.save(
            self.list_parts(),
            self.generator,
            self.history,
            self.best_weights,
            self.compute_probed_outputs,
        )

    def compute_probed_outputs(self) -> torch.Tensor:
        """Return the outputs (n, K) for a few training rows; leave the network as it is."""
        with keep_buffers(self.module):
            return predict_logits(
                self.module,
                self.images,
                self.train_indices[:N_PROBED_ROWS],
                layout=self.prediction_layout,
            )

    def is_same_network(self, outputs: torch.Tensor) -> bool:
        """Return whether the network gives these outputs for the same training rows."""
        return not outputs_differ(self.module, self.compute_probed_outputs(), outputs)

    def list_parts(self) -> list[Stateful]:
        """Return what a checkpoint holds the state of."""
        parts: list[Stateful] = [self.module, self.optimizer]
        if self.schedule is not None:
            parts.append(self.schedule)
        return parts

    def finish(self) -> None:
        """Give `network` its final weights: the best ones, or NaN after a divergence."""
        self.optimizer.zero_grad()  # frees the gradients, which are as large as the weights
        if self.best_weights is not None:
            self.module.load_state_dict(self.best_weights)
        if self.condensed is not None:
            self.condensed.expand()

        has_diverged = self.best_weights is None and math.isnan(self.history[-1].train_loss)
        if has_diverged or not has_finite_parameters(self.network):
            fill_with_nan(self.network)


def make_step(
    module: nn.Module,
    optimizer: Optimizer,
    precision: str,
    compute_loss: Loss,
    class_weights: torch.Tensor | None,
    layout: torch.memory_format,
) -> Step:
    """Return step(images, labels) -> (loss, n_correct), both from before the update.

    layout: in which the module takes images.
    """
    is_bf16 = precision == "bf16"

    def step(images: torch.Tensor, labels: torch.Tensor) -> StepResult:
        images = reorder_batch(images, layout)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=is_bf16):
            logits = module(images)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = compute_loss(logits, labels, class_weights)

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        n_correct = (logits.argmax(1) == labels).sum()
        return loss.detach(), n_correct

    return step


def report_epoch(row: Epoch, n_epochs: int, bar: "tqdm[None]", quiet: bool) -> None:
    """Show the epoch beside the progress bar; in a log, where there is no bar, print a line."""
    losses = {"train": row.train_loss}
    if row.validation_loss is not None:
        losses["validation"] = row.validation_loss
    announce_progress(row.epoch, n_epochs, **losses)
    bar.set_postfix(epoch=row.epoch, loss=f"{row.train_loss:.4g}")
    if bar.disable and not quiet:
        print(f"epoch {row.epoch}/{n_epochs}: {row.describe()}", flush=True)


def report_kept_epoch(history: Sequence[Epoch], n_epochs: int) -> None:
    """Print the epoch whose weights are kept: the one of the lowest validation loss."""
    best_epoch = find_best_epoch(history)
    if best_epoch is None:
        print("kept the last epoch: no validation loss is a number", flush=True)
        return
    loss = history[best_epoch - 1].validation_loss
    print(f"kept epoch {best_epoch} of {n_epochs} (validation loss {loss:.4g})", flush=True)


def has_finite_parameters(network: nn.Module) -> bool:
    """Return whether no parameter holds NaN or infinity."""
    return all(bool(parameter.isfinite().all()) for parameter in network.parameters())


def fill_with_nan(network: nn.Module) -> None:
    """Set all weights to NaN: which of them became NaN first depends on timing."""
    for tensor in collect_tensors(network).values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
