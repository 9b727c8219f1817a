import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from mri_stages.baselines import nearest_neighbours
from mri_stages.baselines.nearest_neighbours import nearest_of_other_groups


@pytest.fixture(params=[2**20, 8 * 51 * 5], ids=["one block", "blocks of five rows"], autouse=True)
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_neighbours, "BLOCK_BYTES", request.param)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_nearest_of_other_groups_equals_scikit_learn(dtype: type) -> None:
    rng = np.random.default_rng(0)
    stored: np.ndarray = rng.integers(0, 256, (51, 30)).astype(dtype)
    stored[39] = stored[1]  # a copy
    x = stored.astype(float)
    groupings = np.stack([np.arange(51) % 50 < 30, np.arange(51) % 3]).astype(np.int64)
    groupings[0, 50] = 7  # alone in its group
    nearest, closeness = nearest_of_other_groups(stored, groupings)
    typical = [
        np.median(np.linalg.norm(x[(groupings[0] == groupings[0, row]) & others] - x[row], axis=1))
        for row, others in enumerate(~np.eye(50, 51, dtype=bool))
    ]
    for place, groups in enumerate(groupings):
        for group in np.unique(groups):
            others = np.flatnonzero(groups != group)
            tree = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(x[others])
            distance, index = tree.kneighbors(x[groups == group])
            assert nearest[place, groups == group].tolist() == others[index[:, 0]].tolist()
            expected = distance[:, 0] / np.array([*typical, np.nan])[groups == group]
            np.testing.assert_allclose(closeness[place, groups == group], expected)


def test_nearest_of_other_groups_takes_the_first_of_equally_near_rows() -> None:
    x = np.full((20, 64), 200, np.uint8)
    x[np.arange(20), np.arange(20)] = 255  # all rows are at the same distance from one another
    nearest, closeness = nearest_of_other_groups(x, np.array([[0] * 7 + [1] * 13]))
    assert nearest[0].tolist() == [7] * 7 + [0] * 13
    assert np.unique(closeness).tolist() == [1]
    copies = np.zeros((4, 5), np.uint8)
    _, closeness = nearest_of_other_groups(copies, np.array([[0, 0, 1, 1]]))
    assert closeness.tolist() == [[0] * 4]
