"""What a name in a table can mean: a path, an end of one, a name without suffix, or a folder."""

import pytest

from mri_stages.ingest.file_names import FileNames, cut_known_suffix, leads_outside, split_name
from mri_stages.ingest.file_tree import Parts

IMAGES = [("a", "1.png"), ("b", "1.png"), ("1.png",), ("b", "c", "2.png"), ("b", "c", "3.dcm")]


def list_paths(name: str, source: Parts = ("set",)) -> list[Parts]:
    """Return the paths that the name can mean."""
    return [match.path for match in FileNames(IMAGES, IMAGES, source).list_matches(name)]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("1.png", [("1.png",)]),  # the whole path, though two other paths end so
        ("a/1.png", [("a", "1.png")]),
        (".\\b\\1.png", [("b", "1.png")]),
        ("2.png", [("b", "c", "2.png")]),
        ("c/2.png", [("b", "c", "2.png")]),
        ("set/b/c/2.png", [("b", "c", "2.png")]),
        ("a/2.png", []),
        ("other/set/1.png", []),
        ("2", [("b", "c", "2.png")]),
        ("c/3", [("b", "c", "3.dcm")]),
        ("c", [("b", "c")]),
        ("x/c", []),
        ("", []),
        ("/", []),
    ],
)
def test_list_matches_of_a_name(name: str, paths: list[Parts]) -> None:
    assert list_paths(name) == paths


def test_list_matches_of_several_images() -> None:
    images = IMAGES[:2]
    matches = FileNames(images, images, ()).list_matches("1.png")
    assert [match.images for match in matches] == [[image] for image in images]


def test_list_matches_of_a_folder_has_all_its_images() -> None:
    (match,) = FileNames(IMAGES, IMAGES, ()).list_matches("b")
    assert match.images == [image for image in IMAGES if image[0] == "b"]


def test_list_matches_of_the_second_file_of_a_volume() -> None:
    images = [("a", "1.hdr"), ("b", "1.hdr")]
    tree = [*images, ("a", "1.img"), ("b", "1.img"), ("c", "1.img")]
    names = FileNames(images, tree, ())
    assert [match.path for match in names.list_matches("b/1.img")] == [("b", "1.hdr")]
    assert names.list_matches("c/1.img") == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a/b.png", ("a", "b.png")), ("./a//b", ("a", "b")), ("a\\b", ("a", "b")), ("..", ("..",))],
)
def test_split_name_takes_any_slash(name: str, parts: Parts) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize("name", ["/a", "\\a", "C:\\a", "c:a", "a/../b", ".."])
def test_leads_outside(name: str) -> None:
    assert leads_outside(name)


@pytest.mark.parametrize("name", ["a/b", "a..b/c", "ab:c", "./a"])
def test_leads_outside_of_a_path_below(name: str) -> None:
    assert not leads_outside(name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.png", "a"),
        ("a.PNG", "a"),
        ("a.dcm", "a"),
        ("a.nii", "a"),
        ("a.Nii.Gz", "a"),
        ("1.2.840.113", "1.2.840.113"),
        ("a.txt", "a.txt"),
        ("a", "a"),
    ],
)
def test_cut_known_suffix(name: str, stem: str) -> None:
    assert cut_known_suffix(name) == stem
