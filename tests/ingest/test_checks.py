"""Where each check of a raw folder begins to refuse, and what it lets pass."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mri_stages.errors import InputError
from mri_stages.ingest import checks

PATH = Path("x.pt")


def make_rows(*ranges: tuple[float, float]) -> torch.Tensor:
    """Return an image (1, 1, 2) of each range, darkest pixel first."""
    return torch.tensor(ranges).reshape(-1, 1, 1, 2)


@pytest.mark.parametrize(
    ("shape", "is_refused"),
    [
        ((2, 5, 5, 4), True),
        ((2, 5, 5, 5), False),
        ((2, 4, 5, 4), False),
        ((2, 5, 4, 4), False),
        ((2, 2, 2, 1), False),
    ],
)
def test_check_axes_at_its_limits(shape: tuple[int, ...], is_refused: bool) -> None:
    images = torch.zeros(shape)
    if not is_refused:
        checks.check_axes(PATH, images)
        return
    with pytest.raises(InputError, match=r"N x H x W x C"):
        checks.check_axes(PATH, images)


@pytest.mark.parametrize(
    ("train_width", "test_width", "is_refused"),
    [(1, 100, False), (1, 101, True), (100, 1, False), (101, 1, True)],
)
def test_check_scales_at_a_hundredfold_range(
    train_width: float, test_width: float, is_refused: bool
) -> None:
    train = make_rows((0, train_width))
    test = make_rows((0, test_width))
    if not is_refused:
        checks.check_scales(PATH, train, test)
        return
    with pytest.raises(InputError, match="pixels 0 to"):
        checks.check_scales(PATH, train, test)


def test_check_scales_takes_rows_of_one_level() -> None:
    checks.check_scales(PATH, make_rows((0, 1)), make_rows((7, 7)))


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [
        (torch.uint8, torch.float32, True),
        (torch.uint8, torch.int16, True),
        (torch.int16, torch.float32, True),
        (torch.int16, torch.int32, False),
        (torch.float64, torch.float32, False),
    ],
)
def test_check_scales_of_other_numbers(
    first: torch.dtype, second: torch.dtype, is_refused: bool
) -> None:
    images = make_rows((0, 1))
    if not is_refused:
        checks.check_scales(PATH, images.to(first), images.to(second))
        return
    with pytest.raises(InputError, match=r"expected one scale"):
        checks.check_scales(PATH, images.to(first), images.to(second))


def test_estimate_range_is_of_the_middle_row() -> None:
    assert checks.estimate_range(make_rows((0, 90), (1, 10), (5, 20))) == (1, 20)


def test_estimate_range_takes_rows_of_the_whole_set() -> None:
    rows = make_rows(*[(row, row + 1) for row in range(999)])
    low, high = checks.estimate_range(rows)
    assert low == pytest.approx(499, abs=999 / checks.MAX_SAMPLED_ROWS)
    assert high == low + 1


@pytest.mark.parametrize(
    ("labels", "is_refused"),
    [
        ([[0, 1], [1, 0]], True),
        ([[0.25, 0.75], [0.5, 0.5005]], True),
        ([[0.25, 0.75], [0.5, 0.502]], False),
        ([[0, 1], [2, -1]], False),
        ([[1], [1]], False),
        ([0, 1], False),
    ],
)
def test_check_not_one_hot(labels: list[object], is_refused: bool) -> None:
    if not is_refused:
        checks.check_not_one_hot(PATH, torch.tensor(labels))
        return
    with pytest.raises(InputError, match="one-hot"):
        checks.check_not_one_hot(PATH, torch.tensor(labels))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(3, 4, 5), "label per pixel"),
        (torch.zeros(3, 1, 4, 5), "label per pixel"),
        (torch.zeros(3, 5, 4), ""),
        (torch.zeros(4, 5), "several labels"),
        (torch.tensor([[0, 1, -1], [torch.nan, 1, 1]]), "several labels"),
        (torch.tensor([[0, 1], [1, 2]]), ""),
        (torch.zeros(3, 1), ""),
        (torch.zeros(3), ""),
    ],
)
def test_check_one_label_per_image(labels: torch.Tensor, message: str) -> None:
    images = torch.zeros(3, 1, 4, 5)
    if not message:
        checks.check_one_label_per_image(PATH, labels, images)
        return
    with pytest.raises(InputError, match=message):
        checks.check_one_label_per_image(PATH, labels, images)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], ""),
        ([1, 2, 1], ""),
        ([0, 0, 0], ""),
        ([1, 2, 3], "start at 1"),
        ([0, 1, 3, 4], "row 2 has the label 3, expected 0 to 2"),
        ([0, -1, 2], "row 1 has the label -1"),
    ],
)
def test_check_label_range_of_three_classes(labels: list[int], message: str) -> None:
    if not message:
        checks.check_label_range(PATH, np.array(labels), 3)
        return
    with pytest.raises(InputError, match=message):
        checks.check_label_range(PATH, np.array(labels), 3)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_check_finite_counts_from_the_first_row(wrong: float) -> None:
    values = np.zeros((4, 2, 2), np.float32)
    checks.check_finite(PATH, values, 10)
    values[2:, 1, 0] = wrong
    with pytest.raises(InputError, match="row 12 "):
        checks.check_finite(PATH, values, 10)


@pytest.mark.parametrize(
    ("counts", "is_warned"), [([10, 10], True), ([5, 10, 5], False), ([20], False)]
)
def test_list_order_warnings_at_a_fifth_of_the_changes(counts: list[int], is_warned: bool) -> None:
    """Half of 20 rows, in random order, are of another class than the row before."""
    labels = np.repeat(np.arange(len(counts)) % 2, counts)
    assert bool(checks.list_order_warnings(PATH, labels)) == is_warned
