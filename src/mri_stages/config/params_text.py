"""Change single keys in the text of params.yaml; all other lines stay as they are.

Lines are removed and added as text, because ruamel.yaml hangs the comment and the empty lines below
an entry on the entry itself, and would remove them with it. The layout is that of DVC in the end,
see `dump_as_dvc`. A key is named by its path: ("models", "resnet").
"""

import io
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from mri_stages.config.upgrade import dump_as_dvc

INDENT = 2

Key = str | int
Path = Sequence[Key]


def set_value(text: str, path: Path, value: Any) -> str:
    """Return the text with another value at an existing path."""

    def change(group: Any) -> None:
        group[path[-1]] = value

    return change_with_ruamel(text, path[:-1], change)


def remove_entry(text: str, path: Path) -> str:
    """Return the text without a key of a group, or an item of a list; KeyError if it lacks it.

    A group that becomes empty is written as {}.
    """
    group = find_node(text, path[:-1])
    index = find_index(group, path[-1])
    if group.flow_style:
        return change_with_ruamel(text, path[:-1], lambda values: values.pop(path[-1]))

    is_only_entry = len(group.value) == 1
    first_node, last_node = get_bounds(group.value[index])
    lines = text.splitlines(keepends=True)
    del lines[first_node.start_mark.line : find_last_line(last_node) + 1]
    new_text = "".join(lines)
    if is_only_entry:
        new_text = set_value(new_text, path[:-1], CommentedMap())
    return dump_as_dvc(YAML().load(new_text))


def add_entry(text: str, path: Path, value: Any) -> str:
    """Return the text with a new key at the end of a group.

    value: a text, or a group of ruamel.yaml.
    """
    *group_path, key = path
    group = find_node(text, group_path)
    if group.flow_style and group.value:

        def change(values: Any) -> None:
            values[key] = value

        return change_with_ruamel(text, group_path, change)

    lines = text.splitlines(keepends=True)
    last_line = find_last_line(group)
    if group.value:
        indent = get_bounds(group.value[0])[0].start_mark.column
    else:  # Its braces go, and its own key stands above the new one.
        line = lines[last_line]
        start = group.start_mark.column
        end = group.end_mark.column
        lines[last_line] = line[:start] + " " * (end - start) + line[end:]
        indent = INDENT * len(group_path)

    if not lines[last_line].endswith("\n"):
        lines[last_line] += "\n"
    lines.insert(last_line + 1, indent_lines(dump_block({key: value}), indent))
    return dump_as_dvc(YAML().load("".join(lines)))


def change_with_ruamel(text: str, path: Path, change: Callable[[Any], object]) -> str:
    """Return the text after `change` was called with the group or list at the path."""
    values = YAML().load(text)
    group = values
    for key in path:
        group = group[key]
    change(group)
    return dump_as_dvc(values)


def dump_block(values: dict[Any, Any]) -> str:
    """Return a group as lines of YAML."""
    writer = YAML()
    writer.default_flow_style = False
    stream = io.StringIO()
    writer.dump(values, stream)
    return stream.getvalue()


def indent_lines(text: str, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}" for line in text.splitlines(keepends=True))


def find_node(text: str, path: Path) -> yaml.CollectionNode:
    """Return the group or list at the path, with its place in the text; KeyError without it."""
    node = yaml.compose(text, yaml.SafeLoader)
    for key in path:
        _, node = get_bounds(node.value[find_index(node, key)])
    if not isinstance(node, yaml.CollectionNode):
        raise KeyError(path[-1])
    return node


def find_index(group: yaml.CollectionNode, key: Key) -> int:
    """Return the place of a key among the entries of a group; of a list, the key is the place."""
    if isinstance(group, yaml.SequenceNode):
        return int(key)
    names = [key_node.value for key_node, _ in group.value]
    if key not in names:
        raise KeyError(key)
    return names.index(key)


def get_bounds(entry: Any) -> tuple[yaml.Node, yaml.Node]:
    """Return the first and the last node of an entry: key and value, or an item of a list."""
    if isinstance(entry, tuple):
        key_node, value_node = entry
        return key_node, value_node
    return entry, entry


def find_last_line(node: yaml.Node) -> int:
    """Return the number, from 0, of the last line of a node, without the empty lines below it."""
    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        _, node = get_bounds(node.value[-1])
    mark = node.end_mark
    is_at_next_line = mark.column == 0 and mark.line > node.start_mark.line
    return int(mark.line) - int(is_at_next_line)
