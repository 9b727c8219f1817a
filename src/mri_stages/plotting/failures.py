"""The picture of the most confident failures: some images for each model."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mri_stages.plotting.slices import (
    MAX_HEIGHT_RATIO,
    MIN_HEIGHT_RATIO,
    TITLE_SIZE,
    convert_to_colour,
)
from mri_stages.plotting.style import draw_sentence
from mri_stages.plotting.text import label_names, measure_extra_height, wrap_text
from mri_stages.storage.failures import Failure

NO_FAILURES = "No network has a wrong answer on new subjects, or none has a result"
MAX_COLUMNS = 3  # the text of more is too small on a telephone, 400 pixels wide
IMAGE_WIDTH = 2.1  # inches
TEXT_HEIGHT = 1.1  # inches, of the five lines above an image
TITLE_HEIGHT = 0.3  # inches, of one line of the title
FONT_SIZE = 11  # points
MAX_NAME_WIDTH = IMAGE_WIDTH - 0.5  # inches; there may be "not" before a name


def draw_failures(
    failures_by_model: Mapping[str, Sequence[Failure]],
    images: Mapping[int, NDArray[Any]],
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Return the images of each model that has a failure, the most confident first.

    Each model begins a row.

    images: (C, H, W) by the index of the row, in colour if C is 3.
    """
    shown = {name: failures for name, failures in failures_by_model.items() if failures}
    if not shown:
        return draw_sentence(NO_FAILURES)
    n_columns = min(MAX_COLUMNS, max(map(len, shown.values())))
    rows: list[Sequence[Failure]] = []
    for failures in shown.values():
        rows += [failures[i : i + n_columns] for i in range(0, len(failures), n_columns)]
    width = IMAGE_WIDTH * n_columns
    _, image_height, image_width = next(iter(images.values())).shape
    ratio = min(MAX_HEIGHT_RATIO, max(MIN_HEIGHT_RATIO, image_height / image_width))
    wrapped_title = wrap_text(title, width - 0.2, TITLE_SIZE)

    height = len(rows) * (IMAGE_WIDTH * ratio + TEXT_HEIGHT)
    height += TITLE_HEIGHT + measure_extra_height(wrapped_title)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(wrapped_title, fontsize=TITLE_SIZE, parse_math=False)
    panels = figure.subplots(len(rows), n_columns, squeeze=False)
    for axes in panels.ravel():
        axes.axis("off")
    texts = label_answers(classes)
    texts |= label_names(list(shown), "model", MAX_NAME_WIDTH, FONT_SIZE)
    for row_of_panels, row in zip(panels, rows, strict=True):
        for axes, failure in zip(row_of_panels, row, strict=False):
            draw_failure(axes, failure, texts, images[failure.row])
    return figure


def label_answers(classes: Sequence[str]) -> dict[str, str]:
    """Return what the picture shows for each class, and for any class but this one."""
    names = label_names(classes, "class", MAX_NAME_WIDTH, FONT_SIZE)
    return names | {f"not {name}": f"not {text}" for name, text in names.items()}


def draw_failure(
    axes: Axes, failure: Failure, texts: Mapping[str, str], image: NDArray[Any]
) -> None:
    """Draw one image, and above it whose it is, the actual class and the wrong answer.

    texts: that stand for the names of the model and of the answers.
    """
    shown_image = convert_to_colour(image) if len(image) == 3 else image[0]
    axes.imshow(shown_image, cmap="cividis")
    unit = f"row {failure.row}" if failure.subject is None else f"subject {failure.subject}"
    lines = [
        texts[failure.model],
        unit,
        f"is {texts[failure.actual]}",
        f"answer ({failure.probability:.2f}):",
        texts[failure.answer],
    ]
    axes.set_title("\n".join(lines), fontsize=FONT_SIZE, parse_math=False)
