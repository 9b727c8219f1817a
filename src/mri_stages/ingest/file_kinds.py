"""Count the kinds of the images of each class, and warn of a property that tells the class.

If one class is all grey and the other all in colour, for example, a model is right without a look
at what the images show, and none of its scores says so.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from mri_stages.console import list_some

MIN_IMAGES = 5  # of a class, to say what is usual in it
# A value tells a class if at least the first share of its images have it, and of another class at
# most the second one. So a few odd images change nothing.
USUAL_SHARE = 9 / 10
RARE_SHARE = 1 / 10

GREY = "grey"
COLOUR = "colour"


class Property(StrEnum):
    """What an image is like that does not follow from what it shows."""

    COLOUR = "colour"
    BIT_DEPTH = "bit depth"
    FORMAT = "file format"
    SIZE = "size (height x width, before --resize)"
    MODALITY = "Modality (DICOM)"
    MANUFACTURER = "Manufacturer (DICOM)"


Kind = dict[Property, str]  # the properties of one image, as far as they are known


class KindCounts:
    """Counts the values of each property, class by class."""

    def __init__(self) -> None:
        self.counts: dict[Property, dict[int, Counter[str]]] = defaultdict(
            lambda: defaultdict(Counter)
        )

    def add(self, label: int, kind: Kind, n_images: int = 1) -> None:
        """Count images of one kind in a class."""
        for name, value in kind.items():
            self.counts[name][label][value] += n_images

    def list_warnings(self, classes: Sequence[str]) -> list[str]:
        """Return a warning for each property that tells two classes apart; names by label."""
        warnings = []
        for name in Property:
            class_counts = {}
            for label, counts in sorted(self.counts.get(name, {}).items()):
                if counts.total() >= MIN_IMAGES:
                    class_counts[classes[label]] = counts
            if tells_classes(class_counts.values()):
                warnings.append(
                    f"{name} goes with the class: {describe_classes(class_counts)}; a model can "
                    "tell the classes by that alone; bring all images to one kind first, or "
                    "compare classes within one kind"
                )
        return warnings


def tells_classes(class_counts: Collection[Counter[str]]) -> bool:
    """Return whether a value is usual in one class and rare in another one."""
    usual_values = set()
    for counts in class_counts:
        ((value, count),) = counts.most_common(1)
        if count >= USUAL_SHARE * counts.total():
            usual_values.add(value)
    return any(
        counts[value] <= RARE_SHARE * counts.total()
        for value in usual_values
        for counts in class_counts
    )


def describe_classes(class_counts: Mapping[str, Counter[str]]) -> str:
    """Return the most frequent value of each class, with the number of its images.

    Classes of different values come first, since only the first ones are named.
    """
    first_phrases: dict[str, str] = {}
    further_phrases = []
    for name, counts in class_counts.items():
        ((value, count),) = counts.most_common(1)
        phrase = f"{value} in {count} of {counts.total()} images of {name}"
        if value in first_phrases:
            further_phrases.append(phrase)
        else:
            first_phrases[value] = phrase
    return list_some([*first_phrases.values(), *further_phrases])
