"""Evaluate one model on the test rows: `python -m stages.evaluate MODEL`."""

import math
import time

import numpy as np
import torch

from src import paths
from src.cli import model_argument, run
from src.evaluation.confidence import interval_name
from src.evaluation.metrics import score
from src.evaluation.predict import mean_cross_entropy, predict_logits
from src.models import make_network
from src.params import read_params
from src.storage.dataset import Epoch, load_split, read_info
from src.storage.files import read_csv, write_csv, write_json
from src.storage.weights import load_weights
from src.training.device import device_name, set_up_device


def main() -> None:
    params = read_params()
    name = model_argument("evaluate", params.models)
    info = read_info()
    test = load_split("test", info)
    history = read_csv(paths.history(name), Epoch)
    arch, training = params.models[name].arch, params.training(name)
    device = set_up_device(training.threads)
    network = make_network(arch, info.image_shape, len(info.classes), training.seed)
    load_weights(paths.weights(name), network)

    started = time.perf_counter()
    logits = predict_logits(network.to(device), torch.from_numpy(test.images))
    seconds = time.perf_counter() - started
    predicted = logits.argmax(1).numpy()
    loss = mean_cross_entropy(logits, test.labels)
    diverged = math.isnan(history[-1].train_loss) or not math.isfinite(loss)
    of_rows = predicted, test.labels, test.subjects
    metrics = score(*of_rows, info.classes, info.unscored_classes, loss=loss, diverged=diverged)
    write_json(paths.metrics(name), metrics.to_json())
    table = np.array(info.classes)[np.stack([test.labels, predicted], axis=1)]
    write_csv(paths.confusion(name), ("actual", "predicted"), table)
    print(
        f"{name}: accuracy {metrics.accuracy:.4f}, 95 % confidence interval {metrics.ci_low:.4f} "
        f"to {metrics.ci_high:.4f} ({interval_name(test.subjects)}){', diverged' * diverged}; "
        f"{seconds:.1f} s on {device_name(device)}, torch {torch.__version__}"
    )


if __name__ == "__main__":
    run(main)
