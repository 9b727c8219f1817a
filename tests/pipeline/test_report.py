"""The report as a reader opens it: in a browser, offline."""

import json
from pathlib import Path

from tests.pipeline.browser import PHONE, needs_chromium, opened, width_on_phone
from tests.pipeline.conftest import Clone


@needs_chromium
def test_report_opens_without_error_and_fits_a_phone(finished: Clone, tmp_path: Path) -> None:
    page = finished.folder / "plots/report.html"
    dom, log = opened(page, tmp_path)
    assert "CONSOLE" not in log
    assert json.loads((finished.folder / "plots/leakage.json").read_text())["sentence"] in dom
    assert width_on_phone(page, tmp_path) <= PHONE
