import pytest
import torch
from torch import nn

from mri_stages.errors import InputError
from mri_stages.training.checks import check_recipe
from tests.helpers.plain_training import make_recipe

IMAGES = torch.ones(23, 1, 3, 2)
NORM = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize("batch_size", [1, 2, 11, 22])
def test_check_recipe_refuses_one_row_for_batchnorm(batch_size: int) -> None:
    with pytest.raises(InputError, match=f"batch_size is {batch_size}, .* 23 rows"):
        check_recipe(make_recipe(batch_size=batch_size), NORM, IMAGES, n_rows=23)


@pytest.mark.parametrize("batch_size", [3, 7, 21, 23, 24])
def test_check_recipe_accepts_larger_last_batches(batch_size: int) -> None:
    check_recipe(make_recipe(batch_size=batch_size), NORM, IMAGES, n_rows=23)


def test_check_recipe_accepts_one_row_without_batchnorm() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 4))
    check_recipe(make_recipe(batch_size=22), network, IMAGES, n_rows=23)


def test_check_recipe_leaves_network_and_random_numbers_alone() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Flatten(), nn.Linear(6, 4))
    before = torch.get_rng_state()
    check_recipe(make_recipe(batch_size=22), network, IMAGES, n_rows=23)
    assert torch.equal(torch.get_rng_state(), before)
    assert network[0].num_batches_tracked == 0


def test_check_recipe_refuses_a_shift_of_a_whole_side() -> None:
    with pytest.raises(InputError, match=r"augment\.shift is 2"):
        check_recipe(make_recipe(augment={"shift": 2, "flip": False}), NORM, IMAGES, 23)


def test_check_recipe_accepts_a_smaller_shift() -> None:
    check_recipe(make_recipe(augment={"shift": 1, "flip": False}), NORM, IMAGES, 23)
