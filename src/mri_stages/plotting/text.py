"""Text that fits into a picture: names are cut, titles are wrapped, missing letters are replaced.

All pictures use one font, which comes with matplotlib: a font that happens to be installed would
give other bytes on another machine. What the font lacks is left to the report, which is a page.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from mri_stages.console import list_some
from mri_stages.plotting.style import DOTS_PER_INCH

FONT = "DejaVu Sans"  # matplotlib's default
ELLIPSIS = "…"

# Font sizes in points.
TITLE_SIZE = 12
LABEL_SIZE = 10
SMALL_SIZE = 9

LINE_HEIGHT = 0.2  # inches, of a line of a title

MAX_MEASURED_LETTERS = 300  # more of them fit into no picture, and take seconds to measure


@cache
def load_font() -> FT2Font:
    """Return an own copy of the font: its size may change."""
    return FT2Font(findfont(FONT))


@cache
def list_letters() -> frozenset[int]:
    """Return the code points that the font can draw."""
    return frozenset(load_font().get_charmap())


def has_all_letters(text: str) -> bool:
    return list_letters().issuperset(map(ord, join_lines(text)))


def join_lines(text: str) -> str:
    """Return the text in one line, with one space between words."""
    return " ".join(text.split())


def measure_width(text: str, font_size: float) -> float:
    """Return the width in inches of a text whose letters the font has."""
    font = load_font()
    font.set_size(font_size, DOTS_PER_INCH)
    font.set_text(text)
    width, _ = font.get_width_height()  # in 1/64 of a pixel
    return width / 64 / DOTS_PER_INCH


def replace_missing_letters(text: str) -> str:
    """Return the text with an ellipsis for each run of letters that the font lacks."""
    letters: list[str] = []
    for letter in text:
        is_missing = ord(letter) not in list_letters() and letter != "\n"
        if not is_missing:
            letters.append(letter)
        elif letters[-1:] != [ELLIPSIS]:
            letters.append(ELLIPSIS)
    return "".join(letters)


def label_names(
    names: Sequence[str], noun: str, max_width: float, font_size: float = SMALL_SIZE
) -> dict[str, str]:
    """Return for each name what a picture shows: at most `max_width` inches, and no two alike.

    A name with a letter that the font lacks is its noun and number, such as "class 2". A longer
    name is cut in the middle, and has its number where the cut names would be equal.
    """
    texts = {}
    for number, name in enumerate(names, 1):
        texts[name] = join_lines(name) if has_all_letters(name) else f"{noun} {number}"

    labels = {name: cut_middle(text, max_width, font_size) for name, text in texts.items()}
    counts = Counter(labels.values())
    for number, name in enumerate(names, 1):
        if counts[labels[name]] > 1:
            ending = f" ({number})"
            width = max_width - measure_width(ending, font_size)
            labels[name] = cut_middle(texts[name], width, font_size) + ending
    return labels


def cut_middle(text: str, max_width: float, font_size: float) -> str:
    """Return the text, or its start and end with an ellipsis between, within `max_width` inches."""
    if len(text) > MAX_MEASURED_LETTERS:
        half = MAX_MEASURED_LETTERS // 2
        text = text[:half] + text[-half:]
    elif measure_width(text, font_size) <= max_width:
        return text

    def keep_letters(n_letters: int) -> str:
        n_at_end = n_letters // 2
        start = text[: n_letters - n_at_end]
        end = text[len(text) - n_at_end :]
        return f"{start}{ELLIPSIS}{end}"

    n_kept = bisect_left(
        range(1, len(text)),
        True,
        key=lambda n_letters: measure_width(keep_letters(n_letters), font_size) > max_width,
    )
    return keep_letters(n_kept)


def wrap_text(text: str, max_width: float, font_size: float = TITLE_SIZE) -> str:
    """Return the text in lines of at most `max_width` inches; it keeps its own line breaks."""
    lines = []
    for paragraph in replace_missing_letters(text).split("\n"):
        line = ""
        for word in paragraph.split():
            longer_line = f"{line} {word}" if line else word
            if measure_width(longer_line, font_size) <= max_width:
                line = longer_line
                continue

            if line:
                lines.append(line)
            *full_parts, line = split_word(word, max_width, font_size)
            lines += full_parts
        lines.append(line)
    return "\n".join(lines)


def split_word(word: str, max_width: float, font_size: float) -> list[str]:
    """Return the word in parts of at most `max_width` inches, each of one letter or more."""
    parts = []
    while measure_width(word, font_size) > max_width and len(word) > 1:
        n_fitting = bisect_left(
            range(1, len(word)), True, key=lambda n: measure_width(word[:n], font_size) > max_width
        )
        n_letters = max(1, n_fitting)
        parts.append(word[:n_letters])
        word = word[n_letters:]
    return [*parts, word]


def measure_extra_height(title: str) -> float:
    """Return the inches that a title takes beyond those of one line."""
    return LINE_HEIGHT * title.count("\n")


def print_missing_letters(title: str, classes: Sequence[str] = ()) -> None:
    """Print the note of `describe_missing_letters` if there is one."""
    note = describe_missing_letters(title, classes)
    if note:
        print(note)


def describe_missing_letters(title: str, classes: Sequence[str] = ()) -> str:
    """Return a note that names the letters which the pictures lack, and what they show; or ""."""
    missing_letters = list_missing_letters([title, *classes])
    if not missing_letters:
        return ""

    replacements = []
    if not has_all_letters(title):
        replacements.append(f"data.title is {replace_missing_letters(join_lines(title))!r}")
    for number, name in enumerate(classes, 1):
        if not has_all_letters(name):
            replacements.append(f"class {number} is {name!r}")
    return (
        f"note: the font of the pictures, {FONT}, lacks {list_some(missing_letters)}; in the "
        f"pictures {list_some(replacements)}. The report shows the names as they are. For names in "
        "the pictures, write them in Latin, Greek or Cyrillic letters"
    )


def list_missing_letters(texts: Iterable[str]) -> list[str]:
    """Return the letters that the font lacks, each once; a control character as U+001B."""
    letters = dict.fromkeys("".join(join_lines(text) for text in texts))
    return [
        letter if letter.isprintable() else f"U+{ord(letter):04X}"
        for letter in letters
        if ord(letter) not in list_letters()
    ]
