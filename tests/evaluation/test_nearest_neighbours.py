import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from src.evaluation import nearest_neighbours
from src.evaluation.nearest_neighbours import nearest_of_other_groups


@pytest.fixture(params=[2**20, 8 * 51 * 5], ids=["one block", "blocks of five rows"], autouse=True)
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_neighbours, "BLOCK_BYTES", request.param)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_nearest_of_other_groups_equals_scikit_learn(dtype: type) -> None:
    rng = np.random.default_rng(0)
    parts: list[np.ndarray] = [rng.integers(0, 256, (n, 30)).astype(dtype) for n in (37, 14)]
    parts[1][2] = parts[0][1]  # a copy
    x = np.concatenate(parts).astype(float)
    groupings = np.stack([np.arange(51) % 50 < 30, np.arange(51) % 3]).astype(np.int64)
    groupings[0, 50] = 7  # alone in its group
    found = nearest_of_other_groups(parts, groupings)
    for place, groups in enumerate(groupings):
        for group in np.unique(groups):
            others = np.flatnonzero(groups != group)
            tree = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(x[others])
            distance, index = tree.kneighbors(x[groups == group])
            assert found.nearest[place, groups == group].tolist() == others[index[:, 0]].tolist()
            np.testing.assert_allclose(found.distance[place, groups == group], distance[:, 0])
    assert np.isnan(found.typical[50])
    for row in range(50):
        own = np.flatnonzero((groupings[0] == groupings[0, row]) & (np.arange(51) != row))
        expected = np.median(np.linalg.norm(x[own] - x[row], axis=1))
        assert found.typical[row] == pytest.approx(expected)


def test_nearest_of_other_groups_takes_the_first_of_equally_near_rows() -> None:
    x = np.full((20, 64), 200, np.uint8)
    x[np.arange(20), np.arange(20)] = 255  # all rows are at the same distance from one another
    found = nearest_of_other_groups([x[:12], x[12:]], np.array([[0] * 7 + [1] * 13]))
    assert found.nearest[0].tolist() == [7] * 7 + [0] * 13
    assert np.unique(found.distance).tolist() == [np.sqrt(2 * 55**2)]
