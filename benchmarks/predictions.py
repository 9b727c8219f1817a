"""Print the milliseconds per 100 predicted rows of a model, by ours or by the notebook's recipe.

`python -m benchmarks.predictions MODEL RECIPE` in a workspace whose rows are loaded and scaled.
`plain` predicts all its rows in one pass on the CPU, as the notebook does; `ours` is what
`evaluate` does there, with what it costs once. The notebook has four times as many rows, whose
activations take gigabytes. Weights are untrained. Each measurement is a process of its own, as in
`benchmarks.steps`.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.steps import N_THREADS
from mri_stages.config.loading import read_params
from mri_stages.storage.dataset import load_scaled, read_info
from mri_stages.training.device import set_up_device
from mri_stages.training.fit import build_network
from mri_stages.training.predict import predict_logits

N_ROWS = 320  # a pass of the notebook's over 320 rows of conv_nn2 takes 1.4 GB
N_PASSES = 3  # after a warm-up


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("recipe", choices=["plain", "ours"])
    arguments = parser.parse_args()

    info = read_info()
    network = build_network(read_params().models[arguments.model], info)
    images = torch.from_numpy(load_scaled("test", info).images)[:N_ROWS]
    prepare = prepare_plain if arguments.recipe == "plain" else prepare_ours
    print(100_000 * time_prediction(prepare(network, images)) / len(images))


def prepare_ours(network: nn.Module, images: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return the prediction of the stage `evaluate`."""
    set_up_device(N_THREADS)
    return lambda: predict_logits(network, images)


def prepare_plain(network: nn.Module, images: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return the notebook's prediction: one pass on the CPU, all channels in memory."""
    torch.set_num_threads(N_THREADS)
    contiguous_images = images.contiguous()
    network.eval()

    @torch.no_grad()
    def predict() -> torch.Tensor:
        logits: torch.Tensor = network(contiguous_images)
        return logits

    return predict


def time_prediction(predict: Callable[[], torch.Tensor]) -> float:
    """Return the median of the seconds of a prediction of all rows, after a warm-up."""
    predict()
    seconds = []
    for _ in range(N_PASSES):
        start = time.perf_counter()
        predict()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
