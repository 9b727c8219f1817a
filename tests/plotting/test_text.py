import pytest

from mri_stages.plotting.text import (
    SMALL_SIZE,
    cut_middle,
    describe_missing_letters,
    label_names,
    measure_width,
    replace_missing_letters,
    wrap_text,
)

CJK = "轻度"


def test_width_grows_with_the_text_and_its_size() -> None:
    assert measure_width("WW", 9) > measure_width("W", 9)
    assert measure_width("W", 18) == pytest.approx(2 * measure_width("W", 9), rel=0.1)


def test_cut_leaves_a_short_name() -> None:
    assert cut_middle("resnet", 1, SMALL_SIZE) == "resnet"


def test_cut_keeps_the_start_and_the_end_of_a_name() -> None:
    cut = cut_middle("first" + "x" * 150 + "last", 1.5, SMALL_SIZE)
    assert cut.startswith("first")
    assert cut.endswith("last")
    assert 1.3 < measure_width(cut, SMALL_SIZE) <= 1.5


def test_cut_of_a_huge_name_fits() -> None:
    assert measure_width(cut_middle("x" * 10**6, 1.5, SMALL_SIZE), SMALL_SIZE) <= 1.5


def test_labels_of_short_names_are_the_names() -> None:
    assert label_names(["a", "b"], "class", 1) == {"a": "a", "b": "b"}


def test_labels_of_equal_cuts_have_numbers() -> None:
    names = ["x" * 150, "b", "x" * 149]
    labels = list(label_names(names, "class", 1.5).values())
    assert [label[-4:] for label in labels] == [" (1)", "b", " (3)"]
    assert max(measure_width(label, SMALL_SIZE) for label in labels) <= 1.5


def test_label_of_a_name_with_a_missing_letter_is_its_number() -> None:
    assert label_names(["a", CJK], "class", 1) == {"a": "a", CJK: "class 2"}


def test_labels_tell_a_number_and_a_name_apart() -> None:
    labels = label_names(["class 2", CJK], "class", 2)
    assert len({*labels.values()}) == 2


def test_labels_are_of_one_line() -> None:
    assert label_names(["a\n b"], "class", 1) == {"a\n b": "a b"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Écoles, Großstadt, мозг", "Écoles, Großstadt, мозг"), (f"{CJK} A {CJK}", "… A …")],
)
def test_missing_letters_are_an_ellipsis(text: str, shown: str) -> None:
    assert replace_missing_letters(text) == shown


def test_wrap_leaves_lines_that_fit() -> None:
    assert wrap_text("one line\nand another", 4) == "one line\nand another"


@pytest.mark.parametrize("text", ["many words " * 20, "W" * 80])
def test_wrap_splits_a_long_text_without_a_loss(text: str) -> None:
    wrapped = wrap_text(text, 3)
    assert wrapped.count("\n") > 1
    assert max(measure_width(line, 12) for line in wrapped.split("\n")) <= 3
    assert "".join(wrapped.split()) == "".join(text.split())


def test_wrap_fills_the_lines_of_a_long_word() -> None:
    *full_lines, _ = wrap_text("W" * 80, 3).split("\n")
    for line in full_lines:
        assert measure_width(f"{line}W", 12) > 3


def test_note_names_the_missing_letters_and_the_classes() -> None:
    note = describe_missing_letters("Digits", ["a", CJK])
    assert "轻, 度" in note
    assert "class 2" in note
    assert "data.title" not in note


def test_note_names_the_title() -> None:
    assert "data.title" in describe_missing_letters(CJK)


def test_note_lists_some_of_many_letters() -> None:
    classes = [chr(0x4E00 + place) for place in range(120)]
    assert len(describe_missing_letters("Digits", classes)) < 600


def test_note_escapes_control_characters() -> None:
    assert describe_missing_letters("\x1b[31m").isprintable()


def test_note_is_empty_where_nothing_is_missing() -> None:
    assert describe_missing_letters("Kärtchen", ["a", "β"]) == ""
