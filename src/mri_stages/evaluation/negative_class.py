"""The class against which the AUC and all two-class figures are. It loads no library."""

from collections.abc import Sequence

from mri_stages.errors import InputError


def find_negative_label(negative_class: str | None, classes: Sequence[str]) -> int | None:
    """Return the label of evaluation.negative_class; InputError if no class has that name."""
    if negative_class is None:
        return None
    if negative_class not in classes:
        raise InputError(
            f"params.yaml: evaluation.negative_class is {negative_class!r}, expected null or one "
            f"of {', '.join(classes)}"
        )
    return classes.index(negative_class)
