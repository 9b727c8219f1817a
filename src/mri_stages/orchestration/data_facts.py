"""Tell the shape and the classes of the images before the stage `load` has read them."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from mri_stages import paths
from mri_stages.config.schema import Params, Sample
from mri_stages.errors import InputError
from mri_stages.ingest.phantoms import CLASSES
from mri_stages.ingest.raw_folder import read_classes, read_images, read_labels
from mri_stages.orchestration.graph import LOAD, StageGraph
from mri_stages.storage.arrays import Shape

SAMPLE_CHANNELS = 3
SAMPLE = "sample"


class DataFacts(NamedTuple):
    """What decides whether a model can take the images."""

    image_shape: Shape  # channels, height, width
    classes: list[str]  # K names in label order
    is_sample: bool = False  # the phantoms that the stage `sample` draws


def read_data_facts(folder: Path) -> DataFacts:
    """Return the shape and the classes of a raw folder; InputError where they cannot be read.

    Images are memory-mapped, and their pixels are not read.
    """
    notes: list[str] = []  # that `load` prints
    images = {"train": read_images(folder / "train_data.pt", notes)}
    images["test"] = read_images(folder / "test_data.pt", notes)
    labels = read_labels(folder, images, notes)
    channels, height, width = images["train"].shape[1:]
    return DataFacts((channels, height, width), read_classes(folder, labels["train"]))


def predict_sample(sample: Sample) -> DataFacts:
    """Return the shape and the classes of the phantoms that the stage `sample` draws."""
    image_shape = (SAMPLE_CHANNELS, sample.height, sample.width)
    return DataFacts(image_shape, list(CLASSES), is_sample=True)


def find_data_facts(
    params: Params, graph: StageGraph, changed_stages: Collection[str]
) -> DataFacts | None:
    """Return the shape and the classes of the images that the stage `load` will read.

    None where they are not known before it runs: the folder is not there, `load` will refuse it,
    or a stage that writes it runs first.
    """
    folder = Path(params.data.raw)
    if SAMPLE in graph.deps and folder == paths.SAMPLE:
        return predict_sample(params.sample)

    ancestors = graph.collect_ancestors({LOAD} & graph.deps.keys()) - {LOAD}
    is_rewritten = any(not is_data_file(stage) for stage in ancestors.intersection(changed_stages))
    if is_rewritten:
        return None
    try:
        return read_data_facts(folder)
    except (InputError, OSError):
        return None


def is_data_file(stage: str) -> bool:
    """Return whether a stage of DVC is what `dvc add` wrote, which has no command."""
    return stage.endswith(".dvc")
