"""Phantom head slices: no patient's, but with the traps of the real ones.

A subject's anatomy changes little from slice to slice, and its class shows only in the size of
the ventricles, which overlaps between classes: so a split by slice leaks, as the published one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLASSES = ("MildDemented", "ModerateDemented", "NonDemented", "VeryMildDemented")
SHARES = (0.14, 0.01, 0.50, 0.35)  # of the public set's 200 subjects
VENTRICLES = (0.26, 0.32, 0.16, 0.21)  # mean half-length, in head widths; deviation 0.02


class Phantoms(NamedTuple):
    images: NDArray[np.uint8]  # (subjects, slices, height, width), background exactly 0
    labels: NDArray[np.int64]  # (subjects,), indices into CLASSES


def phantoms(subjects: int, slices: int, height: int, width: int, seed: int) -> Phantoms:
    """Draw `slices` neighbouring slices of each of `subjects` (8 or more: every class has one)."""
    rng = np.random.default_rng(seed)
    counts = np.maximum(1, np.floor(subjects * np.array(SHARES))).astype(int)
    counts[2] += subjects - counts.sum()  # the rest belongs to the largest class
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), counts))
    images = [_subject(rng, VENTRICLES[label], slices, height, width) for label in labels]
    return Phantoms(np.stack(images), labels)


def _subject(
    rng: np.random.Generator, ventricle: float, slices: int, height: int, width: int
) -> NDArray[np.uint8]:
    """One subject's slices, (slices, height, width)."""
    z = np.linspace(-0.5, 0.5, slices)[:, None, None]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    # The head: an ellipse, smaller towards the top, shifted and turned a little.
    tilt = rng.normal(0, 0.06)
    x, y = x - rng.normal(0, 0.03) + tilt * y, y - rng.normal(0, 0.03) - tilt * x
    size = 1 - 0.35 * (z + rng.normal(0, 0.05)) ** 2
    radius = np.hypot(
        x / (0.78 * size * rng.normal(1, 0.04)), y / (0.88 * size * rng.normal(1, 0.04))
    )
    # Tissue: waves through the volume, each subject's own.
    tissue = np.full_like(radius, 130 + rng.normal(0, 6))
    for _ in range(8):
        kx, ky, kz = rng.normal(0, 1, 3) * (5.0, 5.0, 5.0)
        tissue = tissue + 11 * np.sin(kx * x + ky * y + kz * z + rng.uniform(0, 2 * np.pi))
    # Ventricles: two dark ellipses, the sign of the class.
    length = ventricle * rng.normal(1, 0.09) * (1 - 0.6 * z**2)
    gap = rng.normal(0.17, 0.015)
    for side in (-1, 1):
        lean = side * 0.35 * y
        inside = np.hypot((x - side * gap - lean) / (0.55 * length), y / (1.5 * length))
        tissue = np.where(inside < 1, 35, tissue)
    image = np.where(radius > 0.9, 215, tissue) + rng.normal(0, 3, radius.shape)
    return np.where(radius < 1, np.clip(np.rint(image), 1, 255), 0).astype(np.uint8)
