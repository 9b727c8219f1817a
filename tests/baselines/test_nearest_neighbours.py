import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from mri_stages.baselines import nearest_neighbours
from mri_stages.baselines.nearest_neighbours import (
    NO_GROUP,
    find_nearest_neighbours,
    sample_rows,
)

ALONE = 50  # the row that is alone in its group of the first grouping
COPIES = (1, 39)
GROUPINGS = {
    "reference": np.append(np.arange(50) < 30, 7).astype(np.int64),
    "thirds": np.arange(51) % 3,
}


@pytest.fixture(params=[2**20, 8 * 51 * 5], ids=["one block", "blocks of five rows"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_BLOCK_BYTES", request.param)


DTYPES = [np.uint8, np.float32]


@pytest.fixture(params=DTYPES)
def rows(request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn: np.ndarray = rng.integers(0, 256, (51, 30)).astype(request.param)
    drawn[COPIES[1]] = drawn[COPIES[0]]
    return drawn


def find_by_scikit_learn(rows: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest row of another group, and the distance to it."""
    nearest = np.empty(len(rows), np.int64)
    distance = np.empty(len(rows))
    for group in np.unique(groups):
        candidates = np.flatnonzero(groups != group)
        tree = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(rows[candidates])
        distances, places = tree.kneighbors(rows[groups == group])
        nearest[groups == group] = candidates[places[:, 0]]
        distance[groups == group] = distances[:, 0]
    return nearest, distance


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_neighbours_are_those_of_scikit_learn(rows: np.ndarray, grouping: str) -> None:
    neighbours = find_nearest_neighbours(rows, GROUPINGS, reference="reference")
    expected, _ = find_by_scikit_learn(rows.astype(float), GROUPINGS[grouping])
    assert neighbours[grouping].nearest.tolist() == expected.tolist()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_closeness_is_a_share_of_the_typical_distance(rows: np.ndarray, grouping: str) -> None:
    pixels = rows.astype(float)
    typical = []
    for row in range(51):
        companion_mask = GROUPINGS["reference"] == GROUPINGS["reference"][row]
        companion_mask[row] = False
        distances = np.linalg.norm(pixels[companion_mask] - pixels[row], axis=1)
        typical.append(np.median(distances) if row != ALONE else np.nan)

    neighbours = find_nearest_neighbours(rows, GROUPINGS, reference="reference")
    _, distance = find_by_scikit_learn(pixels, GROUPINGS[grouping])
    np.testing.assert_allclose(neighbours[grouping].closeness, distance / np.array(typical))


def test_closeness_of_a_copy_is_zero(rows: np.ndarray) -> None:
    neighbours = find_nearest_neighbours(rows, GROUPINGS, reference="reference")
    assert neighbours["reference"].closeness[list(COPIES)].tolist() == [0, 0]


def test_closeness_is_zero_where_all_rows_are_copies() -> None:
    copies = np.zeros((4, 5), np.uint8)
    groups = {"halves": np.array([0, 0, 1, 1])}
    neighbours = find_nearest_neighbours(copies, groups, reference="halves")
    assert neighbours["halves"].closeness.tolist() == [0] * 4


def test_closeness_is_infinite_beside_copies_of_the_group() -> None:
    rows = np.array([[0], [0], [9]], np.uint8)
    groups = {"groups": np.array([0, 0, 1])}
    neighbours = find_nearest_neighbours(rows, groups, reference="groups")
    assert neighbours["groups"].closeness[:2].tolist() == [np.inf, np.inf]


@pytest.mark.usefixtures("blocks")
def test_neighbour_is_the_first_of_equally_near_rows() -> None:
    rows = np.full((20, 64), 200, np.uint8)
    rows[np.arange(20), np.arange(20)] = 255  # all rows are at the same distance from one another
    groups = {"two": np.array([0] * 7 + [1] * 13)}
    neighbours = find_nearest_neighbours(rows, groups, reference="two")["two"]
    assert neighbours.nearest.tolist() == [7] * 7 + [0] * 13
    assert np.unique(neighbours.closeness).tolist() == [1]


@pytest.mark.usefixtures("blocks")
def test_row_of_no_group_is_nobodys_neighbour(rows: np.ndarray) -> None:
    no_group_mask = np.arange(51) % 5 == 0
    groups = np.where(no_group_mask, NO_GROUP, GROUPINGS["thirds"])
    groupings = {**GROUPINGS, "inner": groups}
    nearest = find_nearest_neighbours(rows, groupings, reference="reference")["inner"].nearest
    expected, _ = find_by_scikit_learn(rows[~no_group_mask].astype(float), groups[~no_group_mask])
    assert nearest[~no_group_mask].tolist() == np.flatnonzero(~no_group_mask)[expected].tolist()


def test_neighbours_of_grey_levels_have_the_bits_of_float64() -> None:
    # More features than one sum takes, with the largest products and tiny differences.
    rng = np.random.default_rng(1)
    extremes = rng.choice(np.array([0, 127, 128, 255], np.uint8), (20, 5000))
    rows = np.concatenate([extremes, np.zeros((9, 5000), np.uint8), 255 - extremes // 128])
    rows[25:29, :4] = np.eye(4)  # four rows at the same distance from one another
    groupings = {"two": np.arange(49) % 2, "single": np.arange(49)}
    grey = find_nearest_neighbours(rows, groupings, reference="two")
    expected = find_nearest_neighbours(rows.astype(np.float32), groupings, reference="two")
    for name in groupings:
        np.testing.assert_array_equal(grey[name].nearest, expected[name].nearest)
        np.testing.assert_array_equal(grey[name].closeness, expected[name].closeness)


def test_neighbour_of_grey_levels_is_one_level_nearer() -> None:
    # In float32 both distances are equal: the squares add up to more than 2^24.
    rows = np.zeros((3, 40_000), np.uint8)
    rows[1:] = 255
    rows[2, 0] = 254
    neighbours = find_nearest_neighbours(rows, {"two": np.array([0, 1, 1])}, reference="two")
    assert neighbours["two"].nearest[0] == 2


def limit_rows(monkeypatch: pytest.MonkeyPatch, n_rows: int, n_features: int) -> None:
    """Allow the work of `n_rows` rows."""
    work = n_rows**2 * (n_features + nearest_neighbours.PRODUCTS_PER_DISTANCE)
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", work)


def test_sample_of_few_rows_is_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_rows(monkeypatch, 60, n_features=20)
    assert sample_rows(20, np.arange(60) < 30).tolist() == list(range(60))


def test_sample_takes_more_rows_of_grey_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_rows(monkeypatch, 50, n_features=36_608)
    n_compared = [len(sample_rows(36_608, np.arange(100) < 60, dtype=dtype)) for dtype in DTYPES]
    assert n_compared == [70, 50]


def test_sample_of_the_public_set_is_all_of_it() -> None:
    test_mask = np.arange(6400) < 1279
    assert len(sample_rows(208 * 176, test_mask, dtype=np.uint8)) == 6400


def test_sample_keeps_the_work_below_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_rows(monkeypatch, 59, n_features=20)
    assert 50 < len(sample_rows(20, np.arange(60) < 30)) < 60


def test_sample_takes_half_the_rows_at_four_times_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit_rows(monkeypatch, 50, n_features=1500)
    assert len(sample_rows(1500, np.arange(100) < 40)) == 50


def test_sample_takes_whole_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_rows(monkeypatch, 30, n_features=20)
    subjects = np.arange(60) % 15
    sample = sample_rows(20, np.arange(60) >= 40, subjects)
    assert 20 < len(sample) <= 30
    assert not set(subjects[sample]) & set(np.delete(subjects, sample))


def test_sample_is_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_rows(monkeypatch, 30, n_features=20)
    sample = sample_rows(20, np.arange(60) >= 40)
    assert (np.diff(sample) > 0).all()


def test_sample_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_rows(monkeypatch, 30, n_features=20)
    test_mask = np.arange(60) >= 40
    assert sample_rows(20, test_mask).tolist() == sample_rows(20, test_mask).tolist()


@pytest.mark.parametrize("n_test", [1, 50, 9999])
def test_sample_has_rows_of_train_and_of_test(n_test: int) -> None:
    test_mask = np.arange(10_000) < n_test
    sample = sample_rows(10**7, test_mask)  # about 300 rows
    assert len(sample) < 320
    assert 0 < test_mask[sample].sum() < len(sample)


def test_sample_has_equal_shares_of_each_kind_of_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    # 100 subjects of two rows: 60 in train only, 30 in test only, 10 in both.
    limit_rows(monkeypatch, 100, n_features=20)
    subjects = np.arange(200) // 2
    test_mask = (subjects >= 60) & (subjects < 90)
    test_mask[180::2] = True
    sampled = np.unique(subjects[sample_rows(20, test_mask, subjects)])
    kinds = np.digitize(sampled, [60, 90])
    assert np.bincount(kinds).tolist() == [30, 15, 5]
