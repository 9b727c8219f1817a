from src.page import Listing, Picture, Section, Share, Table, page


def test_a_page_holds_its_parts_and_escapes_what_is_text() -> None:
    table = Table(
        "<caption>",
        ("class", "rows", "p"),
        [("<b>Ill</b>", Share(3, 0.75), 0.25), ("Sane", Share(1, 0.25), None)],
    )
    html = page("A & B", ["<lead>"], [Section("Data", ["x < y", table, Listing("a: <1>")])])
    for fragment in (
        "A &amp; B", "&lt;lead&gt;", "x &lt; y", "&lt;b&gt;Ill&lt;/b&gt;", "a: &lt;1&gt;",
        "--share: 0.75", "0.2500", "&lt;caption&gt;",
    ):  # fmt: skip
        assert fragment in html
    assert '<th class="number">rows</th><th class="number">p</th>' in html
    assert '<td class="number">-</td>' in html
    assert "<script" not in html


def test_pictures_are_inside_the_page_and_described() -> None:
    html = page("t", [], [Section("s", [Picture(b"\x89PNG", 'a "b"')])])
    assert '<img src="data:image/png;base64,iVBORw==" alt="a &#34;b&#34;">' in html


def test_numbers_too_small_for_four_decimals_are_powers_of_ten() -> None:
    html = page("t", [], [Section("s", [Table("c", ("p",), [(1e-8,), (0.0,), (True,)])])])
    for shown in ("1.0e-08", "0.0000", "yes"):
        assert f">{shown}</td>" in html
