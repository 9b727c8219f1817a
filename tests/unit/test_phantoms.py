import numpy as np

from src.phantoms import CLASSES, phantoms


def test_a_phantom_is_8_bit_on_an_exactly_black_background() -> None:
    images, labels = phantoms(12, 6, 40, 36, seed=1)
    assert images.dtype == np.uint8
    assert images.shape == (12, 6, 40, 36)
    assert labels.shape == (12,)
    for corner in (images[..., 0, 0], images[..., -1, -1]):
        assert not corner.any()
    assert (images[:, :, 20, :].max(axis=-1) > 180).all()  # the skull is bright


def test_class_shares_are_as_skewed_as_the_real_ones() -> None:
    counts = np.bincount(phantoms(200, 5, 8, 8, seed=0).labels)
    assert dict(zip(CLASSES, counts, strict=True)) == {
        "MildDemented": 28,
        "ModerateDemented": 2,
        "NonDemented": 100,
        "VeryMildDemented": 70,
    }


def test_a_subject_changes_smoothly_and_less_than_from_one_subject_to_the_next() -> None:
    images, _ = phantoms(10, 20, 40, 36, seed=0)
    flat = images.reshape(200, -1).astype(float)
    distances = ((flat[:, None] - flat[None]) ** 2).sum(-1)
    subject, position = np.divmod(np.arange(200), 20)
    same = subject[:, None] == subject[None]
    apart = abs(position[:, None] - position[None])
    by_step = [distances[same & (apart == step)].mean() for step in range(20)]
    assert by_step[1] < by_step[3] < by_step[6] < by_step[12]
    np.fill_diagonal(distances, np.inf)
    assert (subject[distances.argmin(1)] == subject).mean() > 0.95


def test_ventricles_grow_with_the_disease_and_overlap_between_classes() -> None:
    images, labels = phantoms(200, 5, 64, 56, seed=0)
    dark = ((images > 0) & (images < 60)).sum(axis=(1, 2, 3))
    mild, moderate, none, very_mild = (dark[labels == label] for label in range(4))
    assert none.mean() < very_mild.mean() < mild.mean() < moderate.mean()
    assert none.max() > very_mild.min()
    assert very_mild.max() > mild.min()


def test_the_same_seed_gives_the_same_slices() -> None:
    a, b, other = (phantoms(8, 5, 36, 36, seed=seed).images for seed in (4, 4, 5))
    assert a.tobytes() == b.tobytes() != other.tobytes()
