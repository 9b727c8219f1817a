"""Open the pages as a reader does: in a headless browser, offline."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium")
PHONE = 360  # pixels
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--allow-file-access-from-files", "--dump-dom"),
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian: apt install chromium)"
)


def opened(page: Path, profile: Path) -> tuple[str, str]:
    """Return the page's elements after loading, and what the browser logged."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def width_on_phone(page: Path, folder: Path) -> int:
    """Return how many pixels wide the page's content is in a window of PHONE pixels."""
    frame = folder / "phone.html"
    frame.write_text(
        f'<iframe width="{PHONE}" height="600" style="border: 0" src="{page.as_uri()}" onload='
        '"this.title = this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    dom, _ = opened(frame, folder)
    (width,) = re.findall(r'<iframe[^>]* title="(\d+)"', dom)
    return int(width)
