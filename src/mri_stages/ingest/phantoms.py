"""Draw phantom head slices: of no patient, but as difficult to evaluate as the real ones.

A subject's anatomy changes little from slice to slice, so a split by slice leaks, as the published
one does. Two things change with the class, and both overlap between classes:
- how much dark fluid a head has: a model that sees nothing but brightness can learn this;
- how much of it lies in the ventricles in the middle, and not in the grooves under the skull.
The second one shows more of the class, but moves dark pixels only: the grey levels stay the same.
"""

import numpy as np
from numpy.typing import NDArray

CLASSES = ("MildDemented", "ModerateDemented", "NonDemented", "VeryMildDemented")
LARGEST_CLASS = 2
CLASS_SHARES = (0.14, 0.01, 0.50, 0.35)  # of the public set's 200 subjects

# Mean of each class, and the largest distance of a subject from that mean.
FLUID_SHARES = (0.1855, 0.2, 0.145, 0.1655)  # of the head
MAX_FLUID_DEVIATION = 0.04
VENTRICLE_SHARES = (0.70, 0.80, 0.33, 0.56)  # of the fluid
MAX_VENTRICLE_DEVIATION = 0.13

# Distances from the middle of the head, whose outline has the distance 1.
CORTEX_RADIUS = 0.62  # from which on there are grooves
SKULL_RADIUS = 0.9  # from which on there is skull

# Grey levels.
TISSUE_LEVEL = 130
SKULL_LEVEL = 215
FLUID_LEVEL = 35
N_WAVES = 8
WAVE_HEIGHT = 11

GROOVE_COUNTS = (10, 12, 14)  # a subject has one of these
GROOVE_TAPER = 1.6  # how fast a groove narrows below the skull

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


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

    fluid_shares = draw_shares(rng, labels, FLUID_SHARES, MAX_FLUID_DEVIATION)
    ventricle_shares = draw_shares(rng, labels, VENTRICLE_SHARES, MAX_VENTRICLE_DEVIATION)
    images = []
    for fluid_share, ventricle_share in zip(fluid_shares, ventricle_shares, strict=True):
        images.append(draw_subject(rng, fluid_share, ventricle_share, slices, height, width))
    return np.stack(images), labels


def draw_shares(
    rng: np.random.Generator, labels: NDArray[np.int64], means: tuple[float, ...], deviation: float
) -> Floats:
    """Return a share for each subject (S,), at most `deviation` from the mean of its class.

    The shares of a class are evenly spaced, so that classes overlap alike with every seed.
    """
    shares = np.empty(len(labels))
    for label, class_mean in enumerate(means):
        class_mask = labels == label
        n_subjects = class_mask.sum()
        positions = (np.arange(n_subjects) + 0.5) / n_subjects  # between 0 and 1
        shares[class_mask] = class_mean + deviation * (2 * rng.permutation(positions) - 1)
    return shares


def draw_subject(
    rng: np.random.Generator,
    fluid_share: float,
    ventricle_share: float,
    slices: int,
    height: int,
    width: int,
) -> NDArray[np.uint8]:
    """Return one subject's slices, (slices, height, width) uint8.

    fluid_share: of the pixels of the head. ventricle_share: of the pixels with fluid.
    """
    z = np.linspace(-0.5, 0.5, slices)[:, None, None]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    x, y = place_head(rng, x, y)
    radius = draw_head_radius(rng, x, y, z)
    tissue = draw_tissue(rng, x, y, z, radius.shape)

    # Fluid is counted over all slices: what the ventricles do not hold is in the grooves.
    n_fluid = round(fluid_share * int((radius < 1).sum()))
    n_ventricles = round(ventricle_share * n_fluid)
    ventricle_mask = select_lowest(draw_ventricles(rng, x, y, z, radius), n_ventricles)
    groove_mask = select_lowest(draw_grooves(rng, x, y, z, radius), n_fluid - n_ventricles)
    tissue = np.where(ventricle_mask | groove_mask, FLUID_LEVEL, tissue)

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
    rng: np.random.Generator, x: Floats, y: Floats, z: Floats, radius: Floats
) -> Floats:
    """Return how late fluid reaches each pixel in the ventricles, two leaning ellipses.

    It is infinite outside the inner head. They are smaller towards the top and the bottom.
    """
    gap = rng.normal(0.17, 0.015)
    distances = []
    for side in (-1, 1):
        lean = side * 0.35 * y
        distances.append(np.hypot((x - side * gap - lean) / 0.55, y / 1.5))
    distance = np.minimum(*distances) / (1 - 0.6 * z**2)
    return np.where(radius < CORTEX_RADIUS, distance, np.inf)


def draw_grooves(
    rng: np.random.Generator, x: Floats, y: Floats, z: Floats, radius: Floats
) -> Floats:
    """Return how late fluid reaches each pixel in the grooves, wedges that point inwards.

    It is infinite outside the cortex.
    """
    n_grooves = rng.choice(GROOVE_COUNTS)
    turn = rng.uniform(0, np.pi) + rng.normal(0, 0.6) * z
    distance = abs(np.sin(n_grooves / 2 * np.arctan2(y, x) + turn)) * radius
    depth = SKULL_RADIUS - radius
    cortex_mask = (radius >= CORTEX_RADIUS) & (depth >= 0)
    return np.where(cortex_mask, distance + GROOVE_TAPER * depth, np.inf)


def select_lowest(values: Floats, count: int) -> Mask:
    """Return the mask of the `count` lowest values; of the finite ones, if they are fewer."""
    mask: Mask = values < np.partition(values, count, axis=None)[count]
    return mask
