"""A checkpoint holds all that the next step depends on, and a damaged one is not used."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from mri_stages.errors import InputError
from mri_stages.models import eval_mode
from mri_stages.training import checkpoint
from mri_stages.training.checkpoint import Checkpoint, Weights, compute_fingerprint
from mri_stages.training.loop import train
from tests.helpers.networks import ZOO
from tests.helpers.plain_training import (
    N_CLASSES,
    SHAPE,
    make_recipe,
    make_rows,
    make_zoo_network,
)

N_EPOCHS = 4


def train_network(n_epochs: int, to: Checkpoint | None = None) -> Weights:
    """Return the weights after a training with shuffling and dropout."""
    network = make_zoo_network("batchnorm_dropout")
    train(network, *make_rows(), make_recipe(epochs=n_epochs, shuffle=True), checkpoint=to)
    return network.state_dict()


def is_same(state: Weights, expected: Weights) -> bool:
    if state.keys() != expected.keys():
        return False
    return all(torch.equal(state[name], expected[name]) for name in state)


class State:
    """All parts of a training, fresh or after a step."""

    def __init__(self) -> None:
        self.module: nn.Module = make_zoo_network("batchnorm_dropout")
        self.optimizer = torch.optim.Adam(self.module.parameters())
        self.schedule = CosineAnnealingLR(self.optimizer, 9)
        self.generator = torch.Generator().manual_seed(3)

    @property
    def parts(self) -> list[checkpoint.Stateful]:
        return [self.module, self.optimizer, self.schedule]

    def compute_outputs(self) -> torch.Tensor:
        with eval_mode(self.module), torch.no_grad():
            outputs: torch.Tensor = self.module(make_rows()[0][:4])
        return outputs

    def is_same_network(self, outputs: torch.Tensor) -> bool:
        return torch.equal(outputs, self.compute_outputs())

    def restore(self, path: Path) -> tuple[list[list[Any]], Weights | None]:
        return Checkpoint(path).restore(self.parts, self.generator, self.is_same_network)

    def take_step(self) -> None:
        self.module(make_rows()[0]).sum().backward()
        self.optimizer.step()
        self.schedule.step()
        torch.rand(5, generator=self.generator)


@pytest.fixture
def saved(tmp_path: Path) -> State:
    """Return a state after a step, saved in the file `state`."""
    state = State()
    state.take_step()
    history = [(0, 0.5, float("inf"), None)]
    best_weights = {"w": torch.ones(2)}
    Checkpoint(tmp_path / "state", seconds=0).save(
        state.parts, state.generator, history, best_weights, state.compute_outputs
    )
    return state


def test_restore_puts_back_module_and_buffers(saved: State, tmp_path: Path) -> None:
    state = State()
    state.restore(tmp_path / "state")
    assert is_same(state.module.state_dict(), saved.module.state_dict())


def test_restore_puts_back_the_optimizer(saved: State, tmp_path: Path) -> None:
    state = State()
    state.restore(tmp_path / "state")
    expected = saved.optimizer.state_dict()
    restored = state.optimizer.state_dict()
    assert restored["param_groups"] == expected["param_groups"]
    for key, moments in expected["state"].items():
        assert is_same(restored["state"][key], moments)


def test_restore_puts_back_the_schedule(saved: State, tmp_path: Path) -> None:
    state = State()
    first_rate = state.schedule.get_last_lr()
    state.restore(tmp_path / "state")
    assert state.schedule.get_last_lr() == saved.schedule.get_last_lr() != first_rate


def test_restore_puts_back_both_random_states(saved: State, tmp_path: Path) -> None:
    expected = torch.rand(3), torch.rand(3, generator=saved.generator)
    state = State()
    state.restore(tmp_path / "state")
    assert torch.equal(torch.rand(3), expected[0])
    assert torch.equal(torch.rand(3, generator=state.generator), expected[1])


def test_restore_returns_history_and_best_weights(saved: State, tmp_path: Path) -> None:
    state = State()
    history, best_weights = state.restore(tmp_path / "state")
    assert history == [[0, 0.5, float("inf"), None]]
    assert best_weights is not None
    assert is_same(best_weights, {"w": torch.ones(2)})


def test_restore_refuses_a_network_of_other_outputs(saved: State, tmp_path: Path) -> None:
    state = State()
    with pytest.raises(InputError, match="state"):
        Checkpoint(tmp_path / "state").restore(
            state.parts, state.generator, lambda outputs: torch.equal(outputs, outputs + 1)
        )


def test_restore_without_a_file_changes_nothing(tmp_path: Path) -> None:
    state = State()
    before = state.generator.get_state()
    restored = state.restore(tmp_path / "state")
    assert restored == ([], None)
    assert torch.equal(state.generator.get_state(), before)


@pytest.mark.parametrize(("seconds", "is_written"), [(3600, False), (0, True)])
def test_save_waits_from_the_start_on(tmp_path: Path, seconds: float, is_written: bool) -> None:
    train_network(N_EPOCHS, Checkpoint(tmp_path / "state", seconds))
    assert (tmp_path / "state").exists() == is_written


def test_save_waits_again_after_a_save(tmp_path: Path) -> None:
    state = State()
    path = tmp_path / "state"
    to = Checkpoint(path, seconds=3600)
    to.last_save -= 3601
    to.save(state.parts, state.generator, [], None, state.compute_outputs)
    path.unlink()
    to.save(state.parts, state.generator, [], None, state.compute_outputs)
    assert not path.exists()


def damage(good: bytes) -> list[bytes]:
    """Return files that are cut, empty, or have one wrong bit in the weights."""
    middle = len(good) // 2
    damaged = [good[:end] for end in (0, 7, 100, middle, len(good) - 30)]
    damaged.append(bytes(1000))
    start = good.index(b"data/0") + 200  # in the random weights of the first layer
    for place in range(start, start + 1500, 370):
        damaged.append(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    return damaged


def test_restore_names_a_damaged_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state"
    train_network(3, Checkpoint(path, seconds=0))
    for content in damage(path.read_bytes()):
        path.write_bytes(content)
        assert State().restore(path) == ([], None)
        assert str(path) in capsys.readouterr().out


def test_train_starts_again_after_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "state"
    expected = train_network(N_EPOCHS)
    train_network(3, Checkpoint(path, seconds=0))
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    assert is_same(train_network(N_EPOCHS, Checkpoint(path)), expected)


def test_restore_result_gives_back_network_and_history(tmp_path: Path) -> None:
    history = [[1, 0.5, float("inf"), None]]
    Checkpoint(tmp_path / "state").save_result(State().module, history)
    torch.manual_seed(6)
    network = ZOO["batchnorm_dropout"](SHAPE, N_CLASSES).double()
    assert Checkpoint(tmp_path / "state").restore_result(network) == history
    assert is_same(network.state_dict(), State().module.state_dict())


def test_restore_result_of_a_damaged_file_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = Checkpoint(tmp_path / "state")
    to.save_result(State().module, [[1, 0.5, 0.5, None]])
    for content in damage(to.result_path.read_bytes()):
        to.result_path.write_bytes(content)
        state = State()
        assert to.restore_result(state.module) == []
        assert is_same(state.module.state_dict(), State().module.state_dict())
        assert str(to.result_path) in capsys.readouterr().out


def test_save_result_removes_the_state_of_the_training(saved: State, tmp_path: Path) -> None:
    to = Checkpoint(tmp_path / "state")
    to.save_result(saved.module, [[1, 0.5, 0.5, None]])
    assert list(tmp_path.iterdir()) == [to.result_path]


def test_save_without_room_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resource = pytest.importorskip("resource", reason="no limits on Windows")
    expected = train_network(N_EPOCHS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        weights = train_network(N_EPOCHS, Checkpoint(tmp_path / "state", seconds=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no checkpoint" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert is_same(weights, expected)


def test_count_bytes_counts_nested_tensors() -> None:
    state = {"a": [torch.zeros(3), {"b": torch.zeros(2, dtype=torch.float64)}], "c": 5}
    assert checkpoint.count_bytes(state) == 3 * 4 + 2 * 8


def test_fingerprint_reads_the_code_of_the_package() -> None:
    assert (checkpoint.CODE / "training/loop.py").is_file()


@pytest.mark.parametrize("changed", ["lr", "data", "code"])
def test_fingerprint_changes_with_every_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    monkeypatch.setattr(checkpoint, "CODE", tmp_path / "src")
    code = tmp_path / "src/models/layers.py"
    code.parent.mkdir(parents=True)

    def compute(values: dict[str, str]) -> str:
        (tmp_path / "data").write_text(values["data"])
        code.write_text(values["code"])
        return compute_fingerprint({"lr": values["lr"]}, [tmp_path / "data"], torch.device("cpu"))

    values = {"lr": "1", "data": "1", "code": "1"}
    assert compute(values) == compute(values)
    assert compute(values) != compute(values | {changed: "2"})
