"""A checkpoint holds all that the next step depends on, and a damaged one is not used."""

from pathlib import Path

import pytest
import torch
from tests.helpers.networks import recipe
from tests.training.test_loop import OPTIONS, fresh, rows
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from mri_stages.training import checkpoint
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.loop import train

EPOCHS = 4
State = dict[str, torch.Tensor]


def trained(epochs: int, to: Checkpoint | None = None) -> State:
    network = fresh("batchnorm_dropout")
    train(network, *rows(), recipe(epochs=epochs, shuffle=True, **OPTIONS), checkpoint=to)
    return network.state_dict()


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def objects() -> tuple[nn.Module, torch.optim.Optimizer, LRScheduler, torch.Generator]:
    module = fresh("batchnorm_dropout")
    optimizer = torch.optim.Adam(module.parameters())
    return module, optimizer, CosineAnnealingLR(optimizer, 9), torch.Generator().manual_seed(3)


def test_restore_puts_back_every_state(tmp_path: Path) -> None:
    first_rate = objects()[2].get_last_lr()
    module, optimizer, schedule, generator = objects()
    module(rows()[0]).sum().backward()
    optimizer.step()
    schedule.step()
    torch.rand(5, generator=generator)
    history, best = [(0, 0.5, float("inf"), None)], {"w": torch.rand(2)}
    saved = Checkpoint(tmp_path / "state", seconds=0)
    saved.save([module, optimizer, schedule], generator, history, best)
    expected = torch.rand(3), torch.rand(3, generator=generator)
    other, other_optimizer, other_schedule, other_generator = objects()
    rows_of_history, best_weights = Checkpoint(tmp_path / "state").restore(
        [other, other_optimizer, other_schedule], other_generator
    )
    assert rows_of_history == [list(history[0])]
    assert best_weights is not None
    assert same(best_weights, best)
    assert other_schedule.get_last_lr() == schedule.get_last_lr() != first_rate
    assert torch.equal(torch.rand(3), expected[0])
    assert torch.equal(torch.rand(3, generator=other_generator), expected[1])
    assert same(other.state_dict(), module.state_dict())  # buffers too
    moments, other_moments = optimizer.state_dict(), other_optimizer.state_dict()
    assert moments["param_groups"] == other_moments["param_groups"]
    for key, state in moments["state"].items():
        assert same(state, other_moments["state"][key])


def test_save_waits_for_its_interval_from_the_start_on(tmp_path: Path) -> None:
    for seconds, written in ((3600, False), (0, True)):
        trained(EPOCHS, Checkpoint(tmp_path / "state", seconds))
        assert (tmp_path / "state").exists() == written


def test_restore_of_a_damaged_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state"
    expected = trained(EPOCHS)
    trained(3, Checkpoint(path, seconds=0))
    good = path.read_bytes()
    damaged = [good[:end] for end in (0, 7, 100, len(good) // 2, len(good) - 30)] + [bytes(1000)]
    start = good.index(b"data/0") + 200  # in the random weights of the first layer
    for place in range(start, start + 1500, 370):
        damaged.append(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    for content in damaged:
        path.write_bytes(content)
        assert Checkpoint(path).restore([], torch.Generator()) == ([], None)
        assert str(path) in capsys.readouterr().out
    path.write_bytes(good[: len(good) // 2])
    assert same(trained(EPOCHS, Checkpoint(path)), expected)


def test_save_without_room_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resource = pytest.importorskip("resource", reason="no limits on Windows")
    expected = trained(EPOCHS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        weights = trained(EPOCHS, Checkpoint(tmp_path / "state", seconds=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no checkpoint" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert same(weights, expected)


def test_fingerprint_changes_with_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (checkpoint.CODE / "training/loop.py").is_file()
    monkeypatch.setattr(checkpoint, "CODE", tmp_path / "src")
    data, code = tmp_path / "data", tmp_path / "src/mri_stages/models/layers.py"
    code.parent.mkdir(parents=True)
    keys = set()
    for lr, of_data, of_code in ("111", "111", "211", "121", "112"):
        data.write_text(of_data)
        code.write_text(of_code)
        keys.add(checkpoint.fingerprint({"lr": lr}, [data], torch.device("cpu")))
    assert len(keys) == 4
