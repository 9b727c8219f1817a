"""install.py: what it hands from pip to uv, and that pip installs where uv cannot."""

import os
from pathlib import Path

import pytest

from install import (
    CannotUseUvError,
    install,
    parse_pip_options,
    parse_uv_version,
    translate_pip_options,
)

# As `pip config list` prints it. The last lines are a value of two lines, and another command's.
LISTING = r"""
:env:.find-links='/wheels'
global.find-links='/elsewhere'
global.index-url='https://a.example/simple'
install.index-url='https://b.example/simple'
global.extra-index-url='\nhttps://c.example/simple\nhttps://d.example/simple'
download.no-binary=':all:'
"""


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_parse_pip_options_prefers_environment_and_command() -> None:
    options = parse_pip_options(LISTING)
    assert options.keys() == {"find-links", "index-url", "extra-index-url"}
    assert options["find-links"] == "/wheels"
    assert options["index-url"] == "https://b.example/simple"


def test_translate_pip_options_names_all_places() -> None:
    options = {"cert": "/ca.pem", "constraint": "/a.txt /b.txt", "retries": "5"}
    assert translate_pip_options({**parse_pip_options(LISTING), **options}, {}) == {
        "UV_DEFAULT_INDEX": "https://b.example/simple",
        "UV_INDEX": "https://c.example/simple https://d.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels",
        "UV_CONSTRAINT": "/a.txt /b.txt",
        "SSL_CERT_FILE": "/ca.pem",
    }


def test_translate_pip_options_separates_find_links_by_commas() -> None:
    variables = translate_pip_options({"find-links": "/a /b"}, {})
    assert variables == {"UV_FIND_LINKS": "/a,/b"}


@pytest.mark.parametrize("name", ["UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS"])
def test_translate_pip_options_keeps_what_the_user_set(name: str) -> None:
    variables = translate_pip_options(parse_pip_options(LISTING), {name: "mine"})
    assert name not in variables


def test_translate_pip_options_refuses_what_uv_lacks() -> None:
    with pytest.raises(CannotUseUvError, match="proxy"):
        translate_pip_options({"proxy": "http://proxy.example"}, {})


@pytest.mark.parametrize(
    ("output", "version"),
    [("uv 0.13.9 (x86_64-unknown-linux-gnu)\n", (0, 13, 9)), ("", ()), ("another uv 1.2.3", ())],
)
def test_parse_uv_version(output: str, version: tuple[int, ...]) -> None:
    assert parse_uv_version(output) == version


@pytest.mark.parametrize(
    ("uv_status", "installers"),
    [(0, ["uv pip install"]), (2, ["uv pip install", "-m pip install"])],
)
def test_install_takes_pip_where_uv_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uv_status: int, installers: list[str]
) -> None:
    """Programs of the names uv and python write down how they were called."""
    log = tmp_path / "log"
    write_program(tmp_path / "bin/python", f'case "$*" in *install*) echo "$@" >> {log};; esac')
    uv = f'case $1 in --version) echo uv 9.9.9;; *) echo uv "$@" >> {log}; exit {uv_status};; esac'
    write_program(tmp_path / "bin/uv", uv)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    assert install(tmp_path / "requirements.lock", tmp_path / "bin/python") == 0
    calls = log.read_text().splitlines()
    assert [" ".join(call.split()[:3]) for call in calls] == installers


def test_install_takes_pip_without_any_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    write_program(tmp_path / "bin/python", f'echo "$@" >> {log}')
    lock = tmp_path / "requirements.lock"
    lock.write_text("torch==2.13.0\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert install(lock, tmp_path / "bin/python") == 0
    assert log.read_text().splitlines()[-1] == f"-m pip install --requirement {lock}"
