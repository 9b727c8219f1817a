from pathlib import Path

import numpy as np
import torch
from tests.helpers.stages import call_stage

from mri_stages.ingest.raw_folder import read_raw


def test_sample_is_split_by_slice(workspace: Path) -> None:
    call_stage(workspace, "sample")
    raw = read_raw(workspace / "data/sample")
    assert len(raw.classes) == 4
    for split, per_subject in (("train", 4), ("test", 1)):
        images, subjects = raw.images[split], raw.subjects[split]
        assert images.shape == (8 * per_subject, 3, 36, 40)
        assert torch.equal(images, images[:, :1].expand(-1, 3, -1, -1))
        assert torch.equal(images, (images * 255).round() / 255)
        assert np.bincount(subjects).tolist() == [per_subject] * 8
        assert (np.diff(subjects) < 0).any()  # rows are shuffled
        assert len(set(zip(subjects, raw.labels[split], strict=True))) == 8
