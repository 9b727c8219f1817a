"""Make a folder in which the stages run on phantoms of a given size and number."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from ruamel.yaml import YAML

from benchmarks.machine import ROOT
from mri_stages.ingest.phantoms import CLASSES, LARGEST_CLASS, draw_phantoms
from mri_stages.ingest.raw_folder import save_labels, save_tensor

FULL_SIZE = (208, 176)  # height and width of the notebook's images
HALF_SIZE = (104, 88)
N_SUBJECTS = 10
N_SLICES = 32  # of each subject
N_CHANNELS = 3


def make_workspace(
    folder: Path, n_rows: dict[str, int], size: tuple[int, int], is_colour: bool = False
) -> Path:
    """Make `folder` with params.yaml and a raw folder of phantoms, the same few repeated."""
    write_raw_folder(folder / "data/raw", n_rows, size, is_colour)
    write_params(folder / "params.yaml", CLASSES[LARGEST_CLASS])
    return folder


def write_raw_folder(
    folder: Path, n_rows: dict[str, int], size: tuple[int, int], is_colour: bool
) -> None:
    """Write float32 images of three equal channels, as the notebook's tensors are.

    The channels of a colour image are three slices.
    """
    height, width = size
    slices, subject_labels = draw_phantoms(N_SUBJECTS, N_SLICES, height, width, seed=0)
    images = slices.reshape(-1, height, width)
    rng = np.random.default_rng(0)

    folder.mkdir(parents=True)
    labels = {}
    for split, n_images in n_rows.items():
        indices = rng.integers(len(images), size=n_images)
        labels[split] = subject_labels[indices // N_SLICES]
        channels = [images[indices - number * is_colour] for number in range(N_CHANNELS)]
        pixels = torch.from_numpy(np.stack(channels, axis=1)).float() / 255
        save_tensor(folder / f"{split}_data.pt", pixels)
    save_labels(folder, CLASSES, labels, {})


def write_params(path: Path, negative_class: str) -> None:
    """Write the project's params with one epoch and the classes and raw folder of a workspace."""
    # YAML 1.2, as DVC reads it: there 1e-8 is a number.
    params = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    params["data"]["raw"] = "data/raw"
    params["train"]["epochs"] = 1
    params["evaluation"]["negative_class"] = negative_class
    path.write_text(yaml.safe_dump(params, sort_keys=False))


@contextmanager
def edit_params(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the params of a workspace, to be changed; write them at the end."""
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    yield params
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def count_bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
