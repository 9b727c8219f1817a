"""Images that are scaled when they are read."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_stages.storage.unscaled_images import UnscaledImages

LEVELS = np.arange(5 * 6, dtype=np.uint8).reshape(5, 6)  # five rows of 2 x 3 pixels


def make_images(channels: int, levels: NDArray[np.uint8] = LEVELS) -> UnscaledImages:
    """Return the rows 4, 0, 3 of two parts, as images of 2 x 3 pixels."""
    return UnscaledImages(
        parts=[levels[:3], levels[3:]],
        indices=np.array([4, 0, 3]),
        image_shape=(channels, 2, 3),
        mean=np.full(levels.shape[1], 0.5, np.float32),
        scale=np.full(levels.shape[1], 0.25, np.float32),
    )


def test_scale_all_is_that_of_the_selected_rows() -> None:
    expected = (LEVELS[[4, 0, 3]].reshape(3, 1, 2, 3) / 255 - 0.5) / 0.25
    scaled = make_images(3).scale_all()
    np.testing.assert_allclose(scaled, expected.repeat(3, axis=1), rtol=1e-5)
    assert scaled.strides[1] == 0


@pytest.mark.parametrize("selection", [np.array([2, 0]), np.array([True, False, True])])
def test_select_is_among_the_images(selection: NDArray[np.int64]) -> None:
    selected = make_images(1).select(selection)
    assert selected.indices.tolist() == np.array([4, 0, 3])[selection].tolist()
    assert len(selected) == 2
    np.testing.assert_array_equal(selected.read_stored(np.array([1])), LEVELS[selected.indices[1:]])


@pytest.mark.parametrize(("channels", "is_equal"), [(1, False), (3, True)])
def test_equal_channels_are_stored_once(channels: int, is_equal: bool) -> None:
    images = make_images(channels)
    assert images.n_stored_channels == 1
    assert images.has_equal_channels == is_equal
    assert images.stored_bytes == 3 * 6


def test_all_channels_may_be_stored() -> None:
    images = make_images(3, LEVELS.repeat(3, axis=1))
    assert images.n_stored_channels == 3
    assert not images.has_equal_channels
    assert images.stored_bytes == 3 * 18
