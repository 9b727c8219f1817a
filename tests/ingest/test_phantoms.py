import numpy as np

from mri_stages.ingest.phantoms import draw_phantoms


def test_phantoms_are_8_bit_on_an_exactly_black_background_and_depend_on_the_seed() -> None:
    images, labels = draw_phantoms(12, 6, 40, 36, seed=1)
    assert images.dtype == np.uint8
    assert images.shape == (12, 6, 40, 36)
    assert labels.shape == (12,)
    assert not images[..., [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert (images[:, :, 20, :].max(axis=-1) > 180).all()  # the skull is bright
    again, other = (draw_phantoms(12, 6, 40, 36, seed)[0] for seed in (1, 2))
    assert (again == images).all()
    assert (other != images).any()


def test_phantoms_of_one_subject_change_smoothly_and_less_than_between_subjects() -> None:
    flat = draw_phantoms(10, 20, 40, 36, seed=0)[0].reshape(200, -1).astype(float)
    distances = ((flat[:, None] - flat[None]) ** 2).sum(-1)
    subject, position = np.divmod(np.arange(200), 20)
    same, apart = subject[:, None] == subject, abs(position[:, None] - position)
    by_step = [distances[same & (apart == step)].mean() for step in (1, 3, 6, 12)]
    assert by_step == sorted(by_step)
    np.fill_diagonal(distances, np.inf)
    assert (subject[distances.argmin(1)] == subject).mean() > 0.95


def test_phantoms_have_every_class_and_ventricles_that_grow_with_the_disease() -> None:
    images, labels = draw_phantoms(200, 5, 64, 56, seed=0)
    assert np.bincount(labels).tolist() == [28, 2, 100, 70]  # as in the public set
    assert np.bincount(draw_phantoms(8, 5, 8, 8, seed=0)[1]).tolist() == [1, 1, 4, 2]
    dark = ((images > 0) & (images < 60)).sum(axis=(1, 2, 3))
    mild, moderate, none, very_mild = (dark[labels == label] for label in range(4))
    assert none.mean() < very_mild.mean() < mild.mean() < moderate.mean()
    assert none.max() > very_mild.min()  # they overlap
    assert very_mild.max() > mild.min()
