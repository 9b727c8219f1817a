"""A signal ends a command in one line, after what it has started."""

import asyncio
import os
import signal

import pytest

from mri_stages.orchestration.signals import run_until_signal


def test_run_until_signal_returns_the_result() -> None:
    assert run_until_signal(asyncio.sleep(0, "result")) == "result"


def test_run_until_signal_ends_by_sigterm(capsys: pytest.CaptureFixture[str]) -> None:
    endings = []

    async def wait_for_signal() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            endings.append("cancelled")

    with pytest.raises(SystemExit) as error:
        run_until_signal(wait_for_signal())
    assert error.value.code == 128 + signal.SIGTERM
    assert endings == ["cancelled"]
    assert "SIGTERM" in capsys.readouterr().err
