"""What a training tells those who listen."""

from collections.abc import Sequence

import torch
from torch import nn

from mri_stages.console import Part, Progress, enter_part, listen_to_progress
from mri_stages.training.loop import train
from tests.helpers.plain_training import make_recipe


def test_train_announces_its_epochs() -> None:
    heard: list[tuple[list[Part], Progress]] = []

    def listen(parts: Sequence[Part], progress: Progress) -> None:
        heard.append((list(parts), progress))

    with listen_to_progress(listen), enter_part("fold", 1, 2):
        network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        images = torch.arange(32.0).reshape(8, 1, 2, 2)
        history = train(network, images, torch.arange(8) % 2, make_recipe(epochs=2), quiet=True)

    assert [parts for parts, _ in heard] == [[Part("fold", 1, 2)]] * 3
    losses = [{}, *({"train": epoch.train_loss} for epoch in history)]
    expected = [Progress(epoch, 2, epoch_losses) for epoch, epoch_losses in enumerate(losses)]
    assert [progress for _, progress in heard] == expected
