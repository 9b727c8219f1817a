"""Draw phantom head slices: of no patient, but as difficult to evaluate as the real ones.

A subject's anatomy changes little from slice to slice. Its class shows only in the size of the
ventricles, which overlaps between classes. So a split by slice leaks, as the published one does.
"""

import numpy as np
from numpy.typing import NDArray

CLASSES = ("MildDemented", "ModerateDemented", "NonDemented", "VeryMildDemented")
LARGEST_CLASS = 2
CLASS_SHARES = (0.14, 0.01, 0.50, 0.35)  # of the public set's 200 subjects
VENTRICLE_LENGTHS = (0.26, 0.32, 0.16, 0.21)  # mean half-lengths, in head widths

# Grey levels.
TISSUE_LEVEL = 130
SKULL_LEVEL = 215
VENTRICLE_LEVEL = 35
SKULL_RADIUS = 0.9  # from which on the head, of radius 1, is skull
N_WAVES = 8
WAVE_HEIGHT = 11

Floats = NDArray[np.float64]


def draw_phantoms(
    subjects: int, slices: int, height: int, width: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return neighbouring slices (subjects, slices, height, width), and the class of each subject.

    The background is exactly 0. Labels (subjects,) are indices into CLASSES, which all occur.
    """
    rng = np.random.default_rng(seed)
    counts = np.maximum(1, np.floor(subjects * np.array(CLASS_SHARES))).astype(int)
    counts[LARGEST_CLASS] += subjects - counts.sum()
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), counts))

    images = [
        draw_subject(rng, VENTRICLE_LENGTHS[label], slices, height, width) for label in labels
    ]
    return np.stack(images), labels


def draw_subject(
    rng: np.random.Generator, ventricle_length: float, slices: int, height: int, width: int
) -> NDArray[np.uint8]:
    """Return one subject's slices, (slices, height, width) uint8."""
    z = np.linspace(-0.5, 0.5, slices)[:, None, None]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    x, y = place_head(rng, x, y)

    radius = draw_head_radius(rng, x, y, z)
    tissue = draw_tissue(rng, x, y, z, radius.shape)
    tissue = draw_ventricles(rng, tissue, x, y, z, ventricle_length)

    noise = rng.normal(0, 3, radius.shape)
    head = np.where(radius > SKULL_RADIUS, SKULL_LEVEL, tissue) + noise
    levels = np.clip(np.rint(head), 1, 255)
    return np.where(radius < 1, levels, 0).astype(np.uint8)


def place_head(rng: np.random.Generator, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the coordinates of the pixels in a head that is slightly shifted and turned."""
    tilt = rng.normal(0, 0.06)
    shift_x = rng.normal(0, 0.03)
    shift_y = rng.normal(0, 0.03)
    head_x = x - shift_x + tilt * y
    head_y = y - shift_y - tilt * x
    return head_x, head_y


def draw_head_radius(rng: np.random.Generator, x: Floats, y: Floats, z: Floats) -> Floats:
    """Return each pixel's distance from the axis of an elliptic head, 1 at its outline.

    The head is smaller towards the top and the bottom.
    """
    size = 1 - 0.35 * (z + rng.normal(0, 0.05)) ** 2
    half_width = 0.78 * size * rng.normal(1, 0.04)
    half_height = 0.88 * size * rng.normal(1, 0.04)
    return np.hypot(x / half_width, y / half_height)


def draw_tissue(
    rng: np.random.Generator, x: Floats, y: Floats, z: Floats, shape: tuple[int, ...]
) -> Floats:
    """Return grey levels of tissue: waves through the volume, different in each subject."""
    tissue = np.full(shape, TISSUE_LEVEL + rng.normal(0, 6))
    for _ in range(N_WAVES):
        kx, ky, kz = rng.normal(0, 1, 3) * 5.0
        phase = rng.uniform(0, 2 * np.pi)
        tissue = tissue + WAVE_HEIGHT * np.sin(kx * x + ky * y + kz * z + phase)
    return tissue


def draw_ventricles(
    rng: np.random.Generator,
    tissue: Floats,
    x: Floats,
    y: Floats,
    z: Floats,
    mean_length: float,
) -> Floats:
    """Return the tissue with two dark ellipses, whose mean half-length depends on the class."""
    length = mean_length * rng.normal(1, 0.09) * (1 - 0.6 * z**2)
    gap = rng.normal(0.17, 0.015)
    for side in (-1, 1):
        lean = side * 0.35 * y
        distance = np.hypot((x - side * gap - lean) / (0.55 * length), y / (1.5 * length))
        tissue = np.where(distance < 1, VENTRICLE_LEVEL, tissue)
    return tissue
