"""Params that differ, and their values as a user reads them."""

import json
from datetime import date

from mri_stages.config.param_changes import compare_params, format_param


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


def test_format_param_shows_a_key_of_any_kind() -> None:
    assert "2026" in format_param({date(2026, 1, 1): 3})
