"""Params that differ, and their values as a user reads them."""

import json
from datetime import date

import pytest

from mri_stages.config.param_changes import MAX_VALUE_LENGTH, compare_params, format_param


def test_compare_params_of_groups() -> None:
    old = {"lr": 0.1, "augment": {"shift": 2}, "same": [1], "gone": None}
    new = {"lr": 0.1, "augment": {"shift": 3}, "same": [1], "more": "a"}
    changes = {change.name: change.describe_values() for change in compare_params("m", old, new)}
    assert changes == {
        "m.augment.shift": "2 -> 3",
        "m.gone": "null -> (absent)",
        "m.more": "(absent) -> a",
    }


def test_compare_params_of_a_group_that_was_a_value() -> None:
    (change,) = compare_params("m.augment", None, {"shift": 2})
    assert change.name == "m.augment"
    assert (change.old, change.new) == (None, {"shift": 2})


def test_format_param_is_short() -> None:
    values = list(range(100))
    text = format_param(values)
    assert text.endswith("...")
    assert json.dumps(values).startswith(text.removesuffix("..."))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * MAX_VALUE_LENGTH, "x" * MAX_VALUE_LENGTH),
        ("x" * (MAX_VALUE_LENGTH + 1), "x" * (MAX_VALUE_LENGTH - 3) + "..."),
        (["Löwe"], '["Löwe"]'),
    ],
)
def test_format_param_shows_what_fits_as_it_is(value: object, shown: str) -> None:
    assert format_param(value) == shown


def test_format_param_shows_a_key_of_any_kind() -> None:
    assert "2026" in format_param({date(2026, 1, 1): 3})
