import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from src import neighbours
from src.neighbours import nearest_of_other_groups


@pytest.fixture
def parts() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (n, 30), np.uint8) for n in (37, 14)]


@pytest.mark.parametrize("block_bytes", [2**20, 8 * 30 * 5])  # all rows at once, five at a time
def test_equals_scikit_learn_in_blocks_of_any_size(
    parts: list[np.ndarray], block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "QUERY_BYTES", block_bytes)
    monkeypatch.setattr(neighbours, "CANDIDATE_BYTES", block_bytes)
    x = np.concatenate(parts).astype(float)
    groupings = np.stack([np.arange(51) >= 37, np.arange(51) % 3]).astype(np.int64)
    found = nearest_of_other_groups(parts, groupings)
    for place, groups in enumerate(groupings):
        for group in np.unique(groups):
            others = np.flatnonzero(groups != group)
            tree = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(x[others])
            distance, index = tree.kneighbors(x[groups == group])
            assert found.nearest[place, groups == group].tolist() == others[index[:, 0]].tolist()
            np.testing.assert_allclose(found.distance[place, groups == group], distance[:, 0])
    own = np.flatnonzero((groupings[0] == groupings[0, 40]) & (np.arange(51) != 40))
    expected = np.median(np.linalg.norm(x[own] - x[40], axis=1))
    assert found.typical[40] == pytest.approx(expected)


def test_a_twin_is_at_distance_0_and_a_row_alone_in_its_group_has_no_typical_distance() -> None:
    x = np.full((3, 50), 201, np.uint8)
    x[1] = 7
    found = nearest_of_other_groups([x], np.array([[0, 0, 1]]))
    assert found.nearest.tolist() == [[2, 2, 0]]
    assert found.distance[0, [0, 2]].tolist() == [0, 0]
    assert np.isnan(found.typical[2])
