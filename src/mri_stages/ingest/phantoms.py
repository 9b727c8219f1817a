"""Phantom head slices: of no patient, but as difficult to evaluate as the real ones.

A subject's anatomy changes little from slice to slice. Its class shows only in the size of the
ventricles, which overlaps between classes. So a split by slice leaks, as the published one does.
"""

import numpy as np
from numpy.typing import NDArray

CLASSES = ("MildDemented", "ModerateDemented", "NonDemented", "VeryMildDemented")
SHARES = (0.14, 0.01, 0.50, 0.35)  # of the public set's 200 subjects
VENTRICLES = (0.26, 0.32, 0.16, 0.21)  # mean half-length, in head widths; deviation 0.02


def draw_phantoms(
    subjects: int, slices: int, height: int, width: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return neighbouring slices (subjects, slices, height, width), and the class of each subject.

    The background is exactly 0. Labels (subjects,) are indices into CLASSES, which all occur.
    """
    rng = np.random.default_rng(seed)
    counts = np.maximum(1, np.floor(subjects * np.array(SHARES))).astype(int)
    counts[2] += subjects - counts.sum()  # the rest belongs to the largest class
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), counts))
    images = [_subject(rng, VENTRICLES[label], slices, height, width) for label in labels]
    return np.stack(images), labels


def _subject(
    rng: np.random.Generator, ventricle: float, slices: int, height: int, width: int
) -> NDArray[np.uint8]:
    """Return one subject's slices, (slices, height, width) uint8."""
    z = np.linspace(-0.5, 0.5, slices)[:, None, None]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    # The head: an ellipse, smaller towards the top, slightly shifted and turned.
    tilt = rng.normal(0, 0.06)
    x, y = x - rng.normal(0, 0.03) + tilt * y, y - rng.normal(0, 0.03) - tilt * x
    size = 1 - 0.35 * (z + rng.normal(0, 0.05)) ** 2
    radius = np.hypot(
        x / (0.78 * size * rng.normal(1, 0.04)), y / (0.88 * size * rng.normal(1, 0.04))
    )
    # Tissue: waves through the volume, different in each subject.
    tissue = np.full_like(radius, 130 + rng.normal(0, 6))
    for _ in range(8):
        kx, ky, kz = rng.normal(0, 1, 3) * (5.0, 5.0, 5.0)
        tissue = tissue + 11 * np.sin(kx * x + ky * y + kz * z + rng.uniform(0, 2 * np.pi))
    # Ventricles: two dark ellipses, whose size depends on the class.
    length = ventricle * rng.normal(1, 0.09) * (1 - 0.6 * z**2)
    gap = rng.normal(0.17, 0.015)
    for side in (-1, 1):
        lean = side * 0.35 * y
        inside = np.hypot((x - side * gap - lean) / (0.55 * length), y / (1.5 * length))
        tissue = np.where(inside < 1, 35, tissue)
    image = np.where(radius > 0.9, 215, tissue) + rng.normal(0, 3, radius.shape)
    return np.where(radius < 1, np.clip(np.rint(image), 1, 255), 0).astype(np.uint8)
