"""The sample is a raw folder of grey phantoms, split by slice and not by subject."""

import numpy as np
import pytest
import torch

from mri_stages.ingest.raw_folder import Raw, read_raw
from tests.helpers.params import write_params
from tests.helpers.stages import call_stage

N_SUBJECTS = 8
SLICES = {"train": 4, "test": 1}  # of each subject


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Raw:
    folder = tmp_path_factory.mktemp("sample")
    write_params(folder)
    call_stage(folder, "sample")
    return read_raw(folder / "data/sample")


def test_sample_has_four_classes(sample: Raw) -> None:
    assert len(sample.classes) == 4


@pytest.mark.parametrize("split", SLICES)
def test_sample_has_the_size_of_the_params(sample: Raw, split: str) -> None:
    assert sample.images[split].shape == (N_SUBJECTS * SLICES[split], 3, 36, 40)


@pytest.mark.parametrize("split", SLICES)
def test_sample_is_grey(sample: Raw, split: str) -> None:
    images = sample.images[split]
    assert torch.equal(images, images[:, :1].expand(-1, 3, -1, -1))


@pytest.mark.parametrize("split", SLICES)
def test_sample_has_pixels_of_8_bits(sample: Raw, split: str) -> None:
    images = sample.images[split]
    assert torch.equal(images, (images * 255).round() / 255)


@pytest.mark.parametrize("split", SLICES)
def test_sample_has_every_subject_in_both_splits(sample: Raw, split: str) -> None:
    assert np.bincount(sample.subjects[split]).tolist() == [SLICES[split]] * N_SUBJECTS


@pytest.mark.parametrize("split", SLICES)
def test_sample_is_shuffled(sample: Raw, split: str) -> None:
    assert (np.diff(sample.subjects[split]) < 0).any()


@pytest.mark.parametrize("split", SLICES)
def test_sample_gives_a_subject_one_label(sample: Raw, split: str) -> None:
    pairs = set(zip(sample.subjects[split], sample.labels[split], strict=True))
    assert len(pairs) == N_SUBJECTS
