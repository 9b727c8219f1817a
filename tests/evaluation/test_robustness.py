"""Changes of images against plain arithmetic, and their AUCs."""

import numpy as np
import pytest

from mri_stages.evaluation import robustness
from mri_stages.evaluation.robustness import (
    CHANGES,
    UNCHANGED,
    Change,
    GreyRange,
    ImageChanger,
    Kind,
    find_grey_range,
    sample_predictions,
    score_changes,
)
from mri_stages.evaluation.roc_auc import compute_auc
from mri_stages.storage.predictions import Predictions, average_by_subject
from tests.helpers.predictions import draw_predictions

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.4, 0.6, (5, 1, 9, 8)).astype(np.float32)
ROWS = [3, 14, 15, 92, 65]


def change_images(kind: Kind, strength: float) -> np.ndarray:
    changer = ImageChanger(IMAGES, ROWS, GreyRange(0, 1))
    return changer.change(Change(kind, strength))


def test_sample_predictions_takes_few_rows_of_each_subject() -> None:
    sample = sample_predictions(draw_predictions(90))  # ten rows of each subject
    assert sample.subjects is not None
    assert np.bincount(sample.subjects).tolist() == [robustness.MAX_ROWS_PER_SUBJECT] * 9
    assert (np.diff(sample.rows) > 0).all()


def test_sample_predictions_takes_few_subjects() -> None:
    predictions = draw_predictions(1500)
    sample = sample_predictions(predictions)
    assert sample.subjects is not None
    assert len(np.unique(sample.subjects)) == robustness.MAX_SUBJECTS
    np.testing.assert_array_equal(sample.labels, predictions.labels[sample.rows])


def test_sample_predictions_without_ids_takes_few_rows() -> None:
    sample = sample_predictions(draw_predictions(1500)._replace(subjects=None))
    assert len(sample.rows) == robustness.MAX_ROWS_WITHOUT_IDS


@pytest.mark.parametrize(
    ("pixels", "expected"), [([0.2, 0.9], (0, 1)), ([-1, 0.5], (-1, 0.5)), ([0, 255], (0, 255))]
)
def test_find_grey_range_is_0_to_1_where_it_can(
    pixels: list[float], expected: tuple[float, float]
) -> None:
    assert find_grey_range(np.array(pixels, np.float32)) == expected


def test_change_shifts_each_image_in_one_direction() -> None:
    shifted = change_images(Kind.SHIFT, 2)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    for image, changed in zip(IMAGES, shifted, strict=True):
        moved = [np.roll(image, sign * 2, axis) for sign in (-1, 1) for axis in (1, 2)]
        assert sum(np.array_equal(candidate[inner], changed[inner]) for candidate in moved) == 1


def test_change_repeats_the_pixels_at_the_edge() -> None:
    (image,) = robustness.shift_images(IMAGES[:1], np.array([[0, 3]]))
    np.testing.assert_array_equal(image[:, :, 3:], IMAGES[0, :, :, :-3])
    np.testing.assert_array_equal(
        image[:, :, :3], IMAGES[0, :, :, [0]].transpose(1, 2, 0) * [1, 1, 1]
    )


def test_change_adds_noise_of_its_deviation() -> None:
    noise = change_images(Kind.NOISE, 0.1) - IMAGES
    assert noise.std() == pytest.approx(0.1, rel=0.1)
    np.testing.assert_allclose(noise, 2 * (change_images(Kind.NOISE, 0.05) - IMAGES), atol=1e-6)


def test_change_of_an_image_ignores_the_others() -> None:
    alone = ImageChanger(IMAGES[2:3], ROWS[2:3], GreyRange(0, 1))
    for change in CHANGES:
        expected = change_images(change.kind, change.strength)[2:3]
        np.testing.assert_array_equal(alone.change(change), expected)


def test_change_of_contrast_keeps_the_mean() -> None:
    changed = change_images(Kind.CONTRAST, 0.4)
    axes = (1, 2, 3)
    np.testing.assert_allclose(changed.mean(axes), IMAGES.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(changed.std(axes), 0.4 * IMAGES.std(axes), rtol=1e-4)


def test_change_of_contrast_keeps_bright_pixels_bright() -> None:
    changed = change_images(Kind.CONTRAST, 0.4)
    np.testing.assert_array_equal(changed.argmax(axis=3), IMAGES.argmax(axis=3))


def test_change_of_brightness_is_clipped() -> None:
    expected = np.minimum(IMAGES + np.float32(0.5), 1)
    np.testing.assert_allclose(change_images(Kind.BRIGHTNESS, 0.5), expected, rtol=1e-6)


def test_change_of_brightness_is_a_share_of_the_range() -> None:
    changer = ImageChanger(IMAGES * 100, ROWS, GreyRange(0, 100))
    changed = changer.change(Change(Kind.BRIGHTNESS, 0.2))
    np.testing.assert_allclose(changed, IMAGES * 100 + 20, rtol=1e-6)


def repeat_probabilities(predictions: Predictions) -> np.ndarray:
    return np.stack([predictions.probabilities] * len(CHANGES))


def test_score_changes_has_the_auc_of_subjects() -> None:
    predictions = draw_predictions(90)
    probabilities = repeat_probabilities(predictions)
    probabilities[3] = probabilities[3, ::-1]
    rows = score_changes(predictions, probabilities, negative_label=0)
    assert [(row.change, row.strength) for row in rows] == [
        (change.kind.value, change.strength) for change in CHANGES
    ]
    for place in (0, 3):
        changed = predictions._replace(probabilities=probabilities[place])
        units = average_by_subject(changed)
        assert rows[place].auc == compute_auc(units, negative_label=0)
        assert rows[place].units == len(units.labels)


def test_score_changes_leaves_out_an_auc_of_nan() -> None:
    predictions = draw_predictions(90)
    probabilities = repeat_probabilities(predictions)
    probabilities[5] = np.nan
    rows = score_changes(predictions, probabilities, negative_label=0)
    assert [row.auc is None for row in rows] == [place == 5 for place in range(len(CHANGES))]


def test_score_changes_of_one_class_is_empty() -> None:
    predictions = draw_predictions(90)
    predictions = predictions._replace(labels=np.zeros(90, np.int64))
    assert score_changes(predictions, repeat_probabilities(predictions), negative_label=0) == []


def test_changes_of_a_kind_grow_without_a_repetition() -> None:
    for kind in Kind:
        strengths = [change.strength for change in CHANGES if change.kind is kind]
        assert len(set(strengths)) == len(strengths) >= 1
        assert strengths in (sorted(strengths), sorted(strengths, reverse=True))


def test_changes_begin_with_unchanged_images() -> None:
    assert CHANGES[0] is UNCHANGED
    np.testing.assert_array_equal(change_images(Kind.UNCHANGED, 0), IMAGES)
