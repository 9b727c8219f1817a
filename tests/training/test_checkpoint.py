"""A checkpoint holds all that the next step depends on, and a damaged one is not used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from src.training.checkpoint import Checkpoint
from src.training.loop import train

ROWS, EPOCHS = 23, 4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def trained(epochs: int, checkpoint: Checkpoint | None = None) -> dict[str, torch.Tensor]:
    x = torch.randn(ROWS, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    fresh = network()
    train(
        fresh, x, torch.arange(ROWS) % 3, lr=0.1, batch_size=5, epochs=epochs, shuffle=True,
        seed=0, checkpoint=checkpoint,
    )  # fmt: skip
    return fresh.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def objects() -> tuple[nn.Module, torch.optim.Optimizer, torch.Generator]:
    module = network()
    return module, torch.optim.Adam(module.parameters()), torch.Generator().manual_seed(3)


def test_restore_puts_back_every_state(tmp_path: Path) -> None:
    module, optimizer, generator = objects()
    module(torch.ones(4, 3, 2, 2)).sum().backward()
    optimizer.step()
    torch.rand(5, generator=generator)
    history = [(0, 0.5, float("inf"), 1.0)]
    Checkpoint(tmp_path / "state", seconds=0).save(module, optimizer, generator, history)
    expected = torch.rand(3), torch.rand(3, generator=generator)
    other, other_optimizer, other_generator = objects()
    checkpoint = Checkpoint(tmp_path / "state")
    assert checkpoint.restore(other, other_optimizer, other_generator) == [list(history[0])]
    assert torch.equal(torch.rand(3), expected[0])
    assert torch.equal(torch.rand(3, generator=other_generator), expected[1])
    assert same(other.state_dict(), module.state_dict())
    assert other[2].num_batches_tracked == 1  # type: ignore[index]
    moments, other_moments = optimizer.state_dict(), other_optimizer.state_dict()
    assert moments["param_groups"] == other_moments["param_groups"]
    for key, state in moments["state"].items():
        assert same(state, other_moments["state"][key])


@pytest.mark.parametrize(("seconds", "written"), [(0, True), (3600, False)])
def test_save_waits_for_its_interval_from_the_start_on(
    tmp_path: Path, seconds: float, written: bool
) -> None:
    trained(EPOCHS, Checkpoint(tmp_path / "state", seconds))
    assert (tmp_path / "state").exists() == written


def test_restore_of_a_damaged_file_starts_from_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state"
    expected = trained(EPOCHS)
    trained(3, Checkpoint(path, seconds=0))
    good = path.read_bytes()
    size = len(good)
    damaged = [good[:end] for end in (0, 7, 100, size // 2, size - 30)]
    # Bytes of the values: zip keeps a CRC-32 of each member.
    damaged += [good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :] for i in values_in(good)]
    damaged.append(os.urandom(1000))
    for content in damaged:
        path.write_bytes(content)
        module, optimizer, generator = objects()
        assert Checkpoint(path).restore(module, optimizer, generator) == []
        assert str(path) in capsys.readouterr().out
    path.write_bytes(good[: size // 2])
    assert same(trained(EPOCHS, Checkpoint(path)), expected)


def values_in(content: bytes) -> list[int]:
    """Return places of float values: of the weights of the first layer, which are random."""
    values = network().state_dict()["1.weight"].nbytes
    assert values == 12 * 8 * 4
    start = content.index(b"data/0") + 200
    return list(range(start, start + values - 200, 37))


def test_save_without_room_lets_the_training_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_fingerprint_changes_with_values_data_and_code(repo: Path, tmp_path: Path) -> None:
    code = tmp_path / "src/training"
    code.mkdir(parents=True)
    for name in ("cli.py", "storage/files.py", "training/checkpoint.py"):
        target = tmp_path / "src" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text((repo / "src" / name).read_text())
    data = tmp_path / "data"
    data.write_bytes(b"1")
    call = (
        "import sys, torch; from pathlib import Path; from src.training.checkpoint import *;"
        "print(fingerprint({'lr': 1}, [Path(sys.argv[1])], torch.device('cpu')))"
    )

    def key(of: str = call) -> str:
        command = [sys.executable, "-c", of, str(data)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    first = key()
    assert key() == first
    keys = {first, key(call.replace("'lr': 1", "'lr': 2"))}
    data.write_bytes(b"2")
    keys.add(key())
    with (tmp_path / "src/storage/files.py").open("a") as file:
        file.write("# changed\n")
    keys.add(key())
    assert len(keys) == 4
