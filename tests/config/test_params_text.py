"""An edit of params.yaml changes its key, and no other line, comment or empty line."""

import difflib

import pytest
from ruamel.yaml import YAML

from mri_stages.config.params_text import add_entry, remove_entry, set_value

TEXT = """\
# our numbers
models:                   # by name
  first:
    lr: 0.1       # fast
    augment: {shift: 2, flip: true}

  # the second
  second:
    lr: 0.2
    seeds:
    - 1
    - 2           # two

other:                    # of another group
  models:                 # by arch
    first: net
  model: first            # the best

end: 1
"""


def list_changes(old_text: str, new_text: str) -> list[str]:
    """Return the lines that went and came, with - and + before them."""
    lines = difflib.ndiff(old_text.splitlines(), new_text.splitlines())
    return [line for line in lines if line.startswith(("-", "+"))]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (
            "first",
            ["first:", "  lr: 0.1       # fast", "  augment: {shift: 2, flip: true}"],
        ),
        ("second", ["second:", "  lr: 0.2", "  seeds:", "  - 1", "  - 2           # two"]),
    ],
)
def test_remove_entry_removes_its_lines_only(name: str, changes: list[str]) -> None:
    new_text = remove_entry(TEXT, ("models", name))
    assert list_changes(TEXT, new_text) == [f"-   {line}" for line in changes]


def test_remove_entry_of_a_list() -> None:
    new_text = remove_entry(TEXT, ("models", "second", "seeds", 0))
    assert list_changes(TEXT, new_text) == ["-     - 1"]


def test_remove_entry_leaves_an_empty_group() -> None:
    new_text = remove_entry(TEXT, ("other", "models", "first"))
    assert list_changes(TEXT, new_text) == [
        "-   models:                 # by arch",
        "+   models: {}              # by arch",
        "-     first: net",
    ]


def test_remove_entry_of_braces() -> None:
    new_text = remove_entry(TEXT, ("models", "first", "augment", "shift"))
    assert list_changes(TEXT, new_text) == [
        "-     augment: {shift: 2, flip: true}",
        "+     augment: {flip: true}",
    ]


def test_remove_entry_that_is_missing() -> None:
    with pytest.raises(KeyError, match="third"):
        remove_entry(TEXT, ("models", "third"))


def test_set_value_keeps_the_comment() -> None:
    new_text = set_value(TEXT, ("other", "model"), "second")
    assert list_changes(TEXT, new_text) == [
        "-   model: first            # the best",
        "+   model: second           # the best",
    ]


def test_add_entry_adds_lines_below_the_last() -> None:
    model = YAML().load("lr: 1e-3\naugment: {shift: 1, flip: false}\npatience:\n")
    new_text = add_entry(TEXT, ("models", "third"), model)
    added = ["third:", "  lr: 1e-3", "  augment: {shift: 1, flip: false}", "  patience:"]
    assert list_changes(TEXT, new_text) == [f"+   {line}" for line in added]
    assert new_text.index("third:") < new_text.index("other:")


def test_add_entry_undoes_the_removal_of_the_last() -> None:
    empty_text = remove_entry(TEXT, ("other", "models", "first"))
    assert add_entry(empty_text, ("other", "models", "first"), "net") == TEXT


def test_add_entry_to_braces() -> None:
    new_text = add_entry(TEXT, ("models", "first", "augment", "turn"), "no")
    values = YAML(typ="safe").load(new_text)
    assert values["models"]["first"]["augment"] == {"shift": 2, "flip": True, "turn": "no"}


def test_add_entry_below_a_last_line_without_an_end() -> None:
    assert add_entry("a:\n  b: 1", ("a", "c"), "2") == "a:\n  b: 1\n  c: '2'\n"
