import numpy as np
import pytest

from mri_stages.baselines.sampling import sample_each_kind

KINDS = np.array([2] * 10 + [7] * 5 + [9])


@pytest.mark.parametrize(
    ("max_kept", "counts"), [(16, [10, 5, 1]), (8, [5, 2, 1]), (1, [1, 1, 1]), (15, [9, 4, 1])]
)
def test_sample_each_kind_keeps_its_share(max_kept: int, counts: list[int]) -> None:
    sample = sample_each_kind(KINDS, max_kept, n_total=16)
    assert [int((KINDS[sample] == kind).sum()) for kind in (2, 7, 9)] == counts
    assert len(set(sample.tolist())) == len(sample)
    assert (np.diff(KINDS[sample]) >= 0).all()
