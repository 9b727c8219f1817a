"""A folder in which one small model was trained, evaluated and exported."""

from pathlib import Path

import torch
from PIL import Image

from tests.helpers.params import ONE_MODEL, write_params
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import call_stage

CLASSES = ["Ill", "Sane", "Unsure"]
IMAGE_SHAPE = (3, 36, 40)
N_TRAIN = 23
N_TEST = 14
TEST_TENSOR = Path("data/raw/test_data.pt")

STAGES = (
    "load",
    "scale",
    "train small",
    "evaluate small",
    "assign_folds",
    "neighbours",
    "leakage",
    "cross_validate small",
    "summarise small",
    "export",
)


def write_trained_project(folder: Path) -> None:
    """Run the stages up to `export` on random colour images of grey levels k/255."""
    write_params(folder, ONE_MODEL)
    write_raw(folder / "data/raw")
    for split, n_rows in (("train", N_TRAIN), ("test", N_TEST)):
        generator = torch.Generator().manual_seed(n_rows)
        levels = torch.randint(0, 256, (n_rows, *IMAGE_SHAPE), generator=generator)
        torch.save(levels.to(torch.float32) / 255, folder / f"data/raw/{split}_data.pt")

    for stage in STAGES:
        call_stage(folder, *stage.split())


def save_test_images(project: Path, folder: Path) -> list[Path]:
    """Write the test rows as image files to `folder`; return their paths in order of the rows."""
    folder.mkdir()
    files = []
    for row, image in enumerate(torch.load(project / TEST_TENSOR)):
        levels = (255 * image).round().to(torch.uint8).permute(1, 2, 0).numpy()
        files.append(folder / f"{row:02}.png")
        Image.fromarray(levels).save(files[-1])
    return files
