import pytest

from mri_stages.errors import InputError
from mri_stages.evaluation.negative_class import find_negative_label


@pytest.mark.parametrize(("name", "label"), [("a", 0), ("b", 1), (None, None)])
def test_find_negative_label_of_a_class(name: str | None, label: int | None) -> None:
    assert find_negative_label(name, ["a", "b"]) == label


def test_find_negative_label_of_no_class_lists_them() -> None:
    with pytest.raises(InputError, match=r"'A'.*a, b"):
        find_negative_label("A", ["a", "b"])
