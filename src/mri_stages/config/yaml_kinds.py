"""The kinds of plain values in YAML 1.2, which DVC reads. PyYAML knows those of YAML 1.1.

In 1.2, `yes` and `off` are texts and no booleans, 010 is ten and not eight, 1:30 is a text and not
ninety, and 1e-8 is a number. A training has to read what `dvc params diff` shows.
"""

import re
from typing import Any

import yaml

BOOL_TAG = "tag:yaml.org,2002:bool"
INT_TAG = "tag:yaml.org,2002:int"
FLOAT_TAG = "tag:yaml.org,2002:float"
BASE_PREFIXES = ("0x", "0o", "0b")

# Of each kind, what it looks like, and with which letters it begins.
KINDS = {
    BOOL_TAG: (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    FLOAT_TAG: (
        r"[-+]?(\d[\d_]*\.[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?"
        r"|[-+]?\d[\d_]*[eE][-+]?\d+"
        r"|[-+]?\.(inf|Inf|INF)"
        r"|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    INT_TAG: (
        r"[-+]?(0b[01][01_]*|0o[0-7][0-7_]*|0x[\da-fA-F][\da-fA-F_]*|\d[\d_]*)",
        "-+0123456789",
    ),
}


def read_kinds_as_dvc(loader: Any) -> None:
    """Let a loader class of PyYAML tell booleans and numbers as YAML 1.2 does."""
    loader.yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in resolvers if tag not in KINDS]
        for letter, resolvers in loader.yaml_implicit_resolvers.items()
    }
    for tag, (pattern, first_letters) in KINDS.items():
        whole_pattern = re.compile(rf"(?:{pattern})\Z", re.ASCII)
        loader.add_implicit_resolver(tag, whole_pattern, list(first_letters))
    loader.add_constructor(INT_TAG, construct_int)


def construct_int(loader: Any, node: yaml.ScalarNode) -> int:
    """Return a whole number: decimal, or with the prefix of another base."""
    text = loader.construct_scalar(node).replace("_", "")
    digits = text.lstrip("+-")
    number = int(digits, 0 if digits.startswith(BASE_PREFIXES) else 10)
    return -number if text.startswith("-") else number
