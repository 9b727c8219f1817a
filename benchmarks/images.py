"""Measure what a large set of colour images costs before training: `python -m benchmarks.images`.

Draws smooth colour images as PNG files, imports them, and runs the stages from `load` to
`baselines`. Prints the seconds of each, the peak of its own memory, and the bytes on disk.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import ROOT, describe_machine
from benchmarks.processes import ProcessCost, measure_module
from benchmarks.workspace import count_bytes, write_params

CLASSES = ("benign", "malignant", "normal")
NEGATIVE_CLASS = "normal"
SPLITS = {"train": 0.8, "test": 0.2}
STAGES = ("load", "assign_folds", "neighbours", "baselines", "scale")
COARSE_SIZE = 8  # pixels of the noise that is enlarged to a smooth image
N_LEVELS = 256


def main() -> None:
    with make_workspace_of_images() as folder:
        measure_all(folder)


@contextmanager
def make_workspace_of_images() -> Iterator[Path]:
    """Yield a folder with params, and in `set` the images that the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--size", type=int, default=128, help="height and width in pixels")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_image_set(folder / "set", arguments.images, arguments.size)
        write_params(folder / "params.yaml", NEGATIVE_CLASS)
        shutil.copy(ROOT / "environment.yaml", folder)
        yield folder


def draw_image_set(folder: Path, n_images: int, size: int) -> None:
    """Write smooth random images as {train,test}/CLASS/NUMBER.png."""
    rng = np.random.default_rng(0)
    for split, share in SPLITS.items():
        for class_name in CLASSES:
            (folder / split / class_name).mkdir(parents=True)
        for index in range(round(n_images * share)):
            coarse = rng.integers(N_LEVELS, size=(COARSE_SIZE, COARSE_SIZE, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
            image.save(folder / split / CLASSES[index % len(CLASSES)] / f"{index:06}.png")


def measure_all(folder: Path) -> None:
    """Import the images in `folder`/set and run the stages; print what each took."""
    print(describe_machine().model_dump_json())
    print(f"{'':12} {'seconds':>8} {'own memory, MB':>15}")
    show("import", measure_module(folder, "mri_stages.__main__", "import", "set"))
    for stage in STAGES:
        show(stage, measure_module(folder, f"stages.{stage}"))

    for place in ("set", "data/raw", "data/flat", "data/scaled"):
        print(f"{place}: {count_bytes(folder / place) / 1e6:.0f} MB")


def show(name: str, cost: ProcessCost) -> None:
    print(f"{name:12} {cost.seconds:8.1f} {cost.own_mb:15.0f}", flush=True)


if __name__ == "__main__":
    main()
