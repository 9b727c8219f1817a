from pathlib import Path

from mri_stages import paths
from stages import load, plot_sample
from tests.helpers.params import change_params


def test_plot_sample_draws_the_stored_images(raw: Path) -> None:
    load.main()
    plot_sample.main()
    assert paths.SAMPLE_FIGURE.read_bytes().startswith(b"\x89PNG")


def test_plot_sample_shows_the_title(raw: Path) -> None:
    load.main()
    plot_sample.main()
    before = paths.SAMPLE_FIGURE.read_bytes()

    change_params(Path(), {"data.title": "Another title"})
    plot_sample.main()
    assert paths.SAMPLE_FIGURE.read_bytes() != before


def test_plot_sample_needs_no_raw_folder(raw: Path) -> None:
    load.main()
    raw.rename("elsewhere")
    plot_sample.main()
    assert paths.SAMPLE_FIGURE.exists()
