"""What the page says of each row of the tables that is not a network."""

from collections.abc import Iterable

from mri_stages.config.schema import AVERAGE

DESCRIPTIONS = {
    "majority": "always says the largest class",
    "nearest_neighbour": "copies the class of the most similar training row",
    "brightness": "knows how bright the pixels are, and not where",
    "linear": "is a logistic regression on the mean image of a subject",
    "kernel": "compares that image with those of the training subjects",
    "covariates": "knows the columns of evaluation.covariates, and no image",
}
AVERAGE_DESCRIPTION = "The row average is the mean of the probabilities of all networks"


def describe_baselines(names: Iterable[str]) -> list[str]:
    """Return what each baseline among the names does."""
    return [f"{name} {DESCRIPTIONS[name]}" for name in names if name in DESCRIPTIONS]


def describe_average(names: Iterable[str]) -> str:
    """Return what the average of the networks is, where it is among the names; else nothing."""
    return AVERAGE_DESCRIPTION if AVERAGE in names else ""
