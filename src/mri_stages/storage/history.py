"""The history of a training: one row per epoch."""

from typing import NamedTuple


class Epoch(NamedTuple):
    """A row of plots/history/M.csv; train_* are of each batch before its own step."""

    epoch: int  # from 1
    train_loss: float  # mean over the training rows
    last_batch_loss: float  # what the notebook prints
    train_accuracy: float  # NaN logits count as class 0, which is what argmax makes of them
    validation_loss: float | None = None  # after the epoch; None without validation
    validation_accuracy: float | None = None

    def describe(self) -> str:
        """Return the losses and accuracies in one line."""
        text = f"loss {self.train_loss:.4g}, accuracy {self.train_accuracy:.1%}"
        if self.validation_loss is not None and self.validation_accuracy is not None:
            text += f", validation {self.validation_loss:.4g}, {self.validation_accuracy:.1%}"
        return text
