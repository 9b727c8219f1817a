"""The notebook's recipe in plain form: what the benchmarks compare with.

Each step of the preparation makes a full copy of the data; every batch comes from the host.
"""

import sys
from pathlib import Path

import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from mri_stages.training.cuda_graphs import Step


def main() -> None:
    prepare(Path(sys.argv[1]))


def prepare(folder: Path) -> dict[str, torch.Tensor]:
    """Return the raw tensors of `folder` and the standardised rows, all in memory."""
    tensors = {
        name: torch.load(folder / f"{name}.pt", weights_only=True)
        for name in ("train_data", "test_data", "train_labels", "test_labels")
    }
    x_train = tensors["train_data"].reshape(len(tensors["train_data"]), -1).numpy()
    x_test = tensors["test_data"].reshape(len(tensors["test_data"]), -1).numpy()
    scaler = StandardScaler()
    x_train = torch.tensor(scaler.fit_transform(x_train))
    x_test = torch.tensor(scaler.transform(x_test))
    return {**tensors, "x_train": x_train, "x_test": x_test}


def make_plain_step(network: nn.Module, lr: float, device: torch.device) -> Step:
    """Return one step of its loop: the batch comes from the host, log-softmax is applied twice."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)

    def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = images.to(device)
        labels = labels.to(device)
        outputs = nn.functional.log_softmax(network(images), dim=1)
        loss = nn.functional.cross_entropy(outputs, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, outputs

    return step
