"""Files of trained weights: how they are found, read, and put into a network."""

import hashlib
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import nn

from mri_stages.config.schema import InitialWeights
from mri_stages.errors import InputError
from mri_stages.training.initial_weights import (
    StateDict,
    fill_from_file,
    find_store,
    read_bytes_of_hash,
    read_state_dict,
)

DATA = b"weights"
SHA256 = hashlib.sha256(DATA).hexdigest()
TENSORS = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.ones(2)}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty store for weights; the workspace is beside it."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    monkeypatch.chdir(workspace)
    folder = tmp_path / "store"
    monkeypatch.setenv("MRI_STAGES_WEIGHTS", str(folder))
    return folder


def name_file(file: str) -> InitialWeights:
    return InitialWeights(file=file, sha256=SHA256)


def write_stored(store: Path, data: bytes) -> None:
    store.mkdir()
    (store / SHA256).write_bytes(data)


def test_read_bytes_of_hash_takes_a_relative_and_an_absolute_path() -> None:
    Path("w.pt").write_bytes(DATA)
    assert read_bytes_of_hash(name_file("w.pt")) == DATA
    assert read_bytes_of_hash(name_file(str(Path("w.pt").resolve()))) == DATA


def test_read_bytes_of_hash_looks_into_the_store(store: Path) -> None:
    write_stored(store, DATA)
    assert read_bytes_of_hash(name_file("w.pt")) == DATA


@pytest.mark.parametrize(
    ("variable", "usual_store"),
    [("XDG_CACHE_HOME", "mri-stages/weights"), ("HOME", ".cache/mri-stages/weights")],
)
def test_find_store_is_in_the_cache_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, usual_store: str
) -> None:
    monkeypatch.delenv("MRI_STAGES_WEIGHTS")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert find_store() == tmp_path / usual_store


def test_read_bytes_of_hash_prefers_the_hash_to_the_path(store: Path) -> None:
    Path("w.pt").write_bytes(b"others")
    write_stored(store, DATA)
    assert read_bytes_of_hash(name_file("w.pt")) == DATA


def test_read_bytes_of_hash_names_hash_and_places(store: Path) -> None:
    with pytest.raises(InputError) as error:
        read_bytes_of_hash(name_file("w.pt"))
    for text in (SHA256, "w.pt", str(store)):
        assert text in str(error.value)


def test_read_bytes_of_hash_names_the_hash_of_another_file() -> None:
    Path("w.pt").write_bytes(b"others")
    with pytest.raises(InputError, match=hashlib.sha256(b"others").hexdigest()):
        read_bytes_of_hash(name_file("w.pt"))


def encode(value: object) -> bytes:
    """Return what torch.save writes."""
    file = BytesIO()
    torch.save(value, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "key"),
    [
        ("w.safetensors", save(TENSORS), ""),
        ("w.pth", encode(OrderedDict(TENSORS)), ""),
        ("w.pt", encode({"epoch": 3, "state_dict": TENSORS}), "state_dict"),
        ("w.pt", encode({"best": torch.ones(()), "state_dict": TENSORS}), "state_dict"),
        ("w.pt", encode({"model": TENSORS, "args": {"lr": 0.1}}), "model"),
        ("w.pt", encode({"model": "resnet", "model_state_dict": TENSORS}), "model_state_dict"),
    ],
)
def test_read_state_dict_of_every_kind_of_file(name: str, data: bytes, key: str) -> None:
    state = read_state_dict(name, data)
    assert (state.key, state.n_other_values) == (key, 0)
    torch.testing.assert_close(state.tensors, TENSORS, rtol=0, atol=0)


class Code:
    """Reading it makes a file."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("w.pt", encode({"a": torch.ones(1), "b": Code()}), "would run code"),
        ("w.pt", encode(nn.Linear(2, 2)), "would run code"),
        ("w.pt", encode({"net": TENSORS}), "a mapping of net, expected a state dict"),
        ("w.pt", encode(torch.ones(2)), "Tensor, expected a state dict"),
        ("w.pt", encode(TENSORS)[:-30], "not readable"),
        ("w.pth", b"text", "not readable"),
        ("w.pt", b"\x80\x02\x92.", "not readable"),  # a pickle, but not a file of PyTorch
        ("w.pt", b"", "not readable"),
        ("w.safetensors", b"text", "not readable"),
    ],
)
def test_read_state_dict_refuses_other_files(name: str, data: bytes, text: str) -> None:
    with pytest.raises(InputError, match=text) as error:
        read_state_dict(name, data)
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)
    assert not Path("ran").exists()


def make_network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            body=nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3)),
            head=nn.Linear(3, 2),
        )
    )


def make_trained_tensors() -> dict[str, torch.Tensor]:
    """Return tensors of another network of three classes, all of which are 5."""
    network = make_network()
    network.head = nn.Linear(3, 3)
    return {name: torch.full_like(value, 5) for name, value in network.state_dict().items()}


def fill(network: nn.Module, tensors: dict[str, torch.Tensor]) -> list[str]:
    return fill_from_file(network, "own", name_file("w.pt"), StateDict(tensors, "", 0))


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "a.b."])
def test_fill_from_file_fills_what_fits(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    network = make_network()
    head = network.head.weight.clone()
    tensors = {f"{prefix}{name}": value for name, value in make_trained_tensors().items()}
    fresh_names = fill(network, tensors | {f"{prefix}more": torch.ones(1)})

    assert fresh_names == ["head.weight", "head.bias"]
    assert bool((network.body[1].weight == 5).all())
    assert network.body[2].num_batches_tracked == 5
    assert torch.equal(network.head.weight, head)
    line = capsys.readouterr().out
    assert "7 of 9 tensors filled; fresh: head.weight, head.bias; not used: 3" in line
    assert f"`{prefix}`" in line or not prefix
    assert ("`" in line) == bool(prefix)  # what was not changed is not said


def test_fill_from_file_adds_the_name_of_the_networks_part() -> None:
    tensors = {
        name.removeprefix("body."): value
        for name, value in make_trained_tensors().items()
        if name.startswith("body.")
    }
    network = make_network()
    assert fill(network, tensors) == ["head.weight", "head.bias"]
    assert bool((network.body[1].bias == 5).all())


def test_fill_from_file_removes_all_that_names_have_in_common() -> None:
    assert fill(nn.Linear(2, 2), {"a.b.weight": torch.ones(2, 2), "a.b.bias": torch.ones(2)}) == []


def test_fill_from_file_takes_half_precision_as_float32() -> None:
    network = make_network()
    fill(network, {name: value.half() for name, value in network.state_dict().items()})
    assert network.head.weight.dtype is torch.float32


def test_fill_from_file_counts_tied_tensors_as_filled() -> None:
    network: Any = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    network[1].weight = network[0].weight
    assert fill(network, {"0.weight": torch.full((2, 2), 5.0)}) == []
    assert bool((network[1].weight == 5).all())


def test_fill_from_file_refuses_another_network() -> None:
    network = make_network()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(InputError, match=r"^w\.pt: 1 of 9 .*own\.py.*conv \(3,\).*body\.1\.weight"):
        fill(network, {"conv": torch.ones(3), "head.bias": torch.ones(2)})
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])


def test_fill_from_file_counts_all_that_is_not_used(capsys: pytest.CaptureFixture[str]) -> None:
    state = StateDict(make_trained_tensors(), "model", n_other_values=4)
    fill_from_file(make_network(), "own", name_file("w.pt"), state)
    assert "not used: 6 (opened at `model`)" in capsys.readouterr().out


def test_fill_from_file_takes_half_of_the_tensors() -> None:
    network = nn.Linear(2, 2)
    assert fill(network, {"bias": torch.ones(2), "weight": torch.ones(4)}) == ["weight"]
    with pytest.raises(InputError, match="0 of 2 tensors"):
        fill(network, {"bias": torch.ones(4)})


def test_fill_from_file_does_not_take_whole_numbers_as_weights() -> None:
    network = nn.Linear(2, 2)
    assert fill(network, {"bias": torch.ones(2), "weight": torch.ones(2, 2).long()}) == ["weight"]


def test_read_state_dict_counts_what_is_no_tensor() -> None:
    state = read_state_dict("w.pt", encode({"epoch": 3, "lr": 0.1, **TENSORS}))
    assert state.n_other_values == 2
    assert list(state.tensors) == list(TENSORS)
