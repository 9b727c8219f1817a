"""The report as a reader opens it: in a browser, offline."""

import json
import re
from pathlib import Path

from tests.pipeline.browser import needs_chromium, opened
from tests.pipeline.conftest import Clone


@needs_chromium
def test_the_report_shows_the_figures_and_logs_no_error(finished: Clone, tmp_path: Path) -> None:
    dom, log = opened(finished.folder / "plots/report.html", tmp_path)
    assert "CONSOLE" not in log
    text = re.sub(r"<[^>]+>", " ", dom)
    for path in sorted((finished.folder / "metrics").glob("*.json")):
        if path.name.endswith(".run.json"):
            continue
        metrics = json.loads(path.read_text())
        keys = {"accuracy", "low", "high", "macro_f1"} & metrics.keys()
        shown = {f"{metrics[key]:.4f}" for key in keys}
        (line, *_) = re.findall(rf"<tr><td>{path.stem}</td>.*?</tr>", dom)
        assert shown <= set(re.findall(r"[\d.]+", line)), path.name
    leakage = json.loads((finished.folder / "plots/leakage.json").read_text())
    assert text.count(leakage["sentence"]) == 2
    for row in (finished.folder / "plots/pairs.csv").read_text().splitlines()[1:]:
        assert row.split(",", 6)[-1].strip('"') in text
    assert len(re.findall(r'<img src="data:image/png;base64,', dom)) == 5
    assert not re.search(r'(src|href)="(?!data:|#)', dom)  # nothing from elsewhere
