"""What a stage reads back may have been edited or come from a shared cache: data, never code."""

import json
import pickle
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.preprocessing import StandardScaler
from torch import nn

from src.arrays import read_array
from src.cli import InputError
from src.files import read_csv, read_json
from src.meta import read_meta
from src.metrics import read_metrics
from src.scaler import fit_scaler, load_scaler, save_scaler, scaled_chunks
from src.weights import load_weights, save_weights
from stages import baselines, compare, evaluate, load, report, scale, train
from tests.conftest import ONE_MODEL, load_npy, write_raw


class Canary:
    """Unpickled by a loader that runs code, it creates the file `canary`."""

    def __reduce__(self) -> tuple[object, ...]:
        return eval, ("open('canary', 'w').close()",)


def run(monkeypatch: pytest.MonkeyPatch, stage: Any, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [stage.__name__, *arguments])
    stage.main()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which one small model went through every stage."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "params.yaml").write_text(ONE_MODEL)
    write_raw(folder / "data/raw", shape=(3, 5, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in (load, baselines, scale):
            run(patch, stage)
        for stage in (train, evaluate):
            run(patch, stage, "small")
        run(patch, compare)
    return folder


@pytest.fixture
def there(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to spoil, as the current folder."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(data: bytes | str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data.encode() if isinstance(data, str) else data)


def array(make: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
    return lambda path: np.save(path, make(load_npy(path)), allow_pickle=True)


def weights(make: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        state = {name: tensor.clone() for name, tensor in load_file(path).items()}
        make(state)
        save_file(state, path)

    return spoil


def edit(key: str, value: Any) -> Callable[[Path], object]:
    """Set a key of a JSON file, or delete it (None)."""

    def spoil(path: Path) -> None:
        values = json.loads(path.read_text())
        values[key] = value
        path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))

    return spoil


def changed(old: str, new: str) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return spoil


BIAS = "3.bias"
PICKLED = np.array([Canary()], object)


@pytest.mark.parametrize(
    ("file", "spoil", "stage", "fragment"),
    [
        ("models/small.safetensors", write(b""), evaluate, "no whole safetensors file"),
        ("models/small.safetensors", write(b"\xff" * 99), evaluate, "no whole safetensors file"),
        ("models/small.safetensors", write(pickle.dumps(Canary())), evaluate, "no whole safe"),
        ("models/small.safetensors", weights(lambda s: s.pop(BIAS)), evaluate,
         "3.bias is missing, expected float32 of shape (3,)"),
        ("models/small.safetensors", weights(lambda s: s.update(a=s[BIAS] + 1)), evaluate,
         "a is float32 of shape (3,), expected no such name"),
        ("models/small.safetensors", weights(lambda s: s.update({BIAS: s[BIAS][:2]})), evaluate,
         "3.bias is float32 of shape (2,), expected float32 of shape (3,)"),
        ("models/small.safetensors", weights(lambda s: s.update({BIAS: s[BIAS].double()})),
         evaluate, "3.bias is float64 of shape (3,), expected float32"),
        ("models/small.safetensors", weights(lambda s: s[BIAS].fill_(torch.nan)), evaluate,
         "some weights are not finite"),
        ("models/small.safetensors", weights(lambda s: s[BIAS][:1].fill_(-torch.inf)), evaluate,
         "some weights are not finite"),
        ("data/scaled/x_test.npy", array(np.float64), evaluate, "float64 of shape (14, 20)"),
        ("data/scaled/x_test.npy", array(np.uint8), evaluate, "uint8 of shape (14, 20)"),
        ("data/scaled/x_test.npy", array(lambda x: x[:, :9]), evaluate, "expected rows of images"),
        ("data/scaled/x_test.npy", array(lambda x: x[:9]), evaluate, "expected int64 of shape (9,"),
        ("data/scaled/x_test.npy", array(lambda x: x[:0]), evaluate, "expected rows of images"),
        ("data/scaled/x_test.npy", array(lambda x: PICKLED), evaluate, "no whole .npy array"),
        ("data/scaled/x_test.npy", write(pickle.dumps(Canary())), evaluate, "no whole .npy array"),
        ("data/scaled/x_train.npy", array(lambda x: x.astype(">f4")), train, ">f4 of shape"),
        ("data/flat/x_train.npy", array(np.int16), scale, "int16 of shape (23, 20)"),
        ("data/flat/x_train.npy", array(lambda x: x[:, :19]), scale, "expected rows of images"),
        ("data/flat/y_test.npy", array(np.float32), evaluate, "expected int64 of shape (14,)"),
        ("data/flat/y_test.npy", array(lambda y: y + 1), evaluate, "labels from 1 to 3, expected"),
        ("data/flat/y_train.npy", array(lambda y: y[:20]), train, "expected int64 of shape (23,)"),
        ("data/flat/y_train.npy", array(lambda y: y - 1), train, "labels from -1 to 1, expected"),
        ("data/flat/subjects_test.npy", array(lambda y: y[:3]), evaluate, "of shape (14,)"),
        ("data/flat/subjects_test.npy", array(np.float64), compare, "float64 of shape (14,)"),
        ("data/flat/subjects_test.npy", array(lambda y: PICKLED), compare, "no whole .npy array"),
        ("data/flat/x_test.npy", array(lambda x: np.float32(x / 255)), scale, "float32 rows of 20"),
        ("data/flat/x_test.npy", array(lambda x: np.tile(x, 3)), baselines, "uint8 rows of 60"),
        ("data/flat/meta.json", write("[" * 9999), scale, "no readable JSON"),
        ("data/flat/meta.json", write("[1]"), train, "expected image_shape"),
        ("data/flat/meta.json", edit("classes", None), train, "expected image_shape"),
        ("data/flat/meta.json", edit("classes", ["a", "a", "b"]), evaluate, "expected image_shape"),
        ("data/flat/meta.json", edit("classes", "abc"), evaluate, "expected image_shape"),
        ("data/flat/meta.json", edit("classes", ["a", "b"]), train, "some of these"),
        ("data/flat/meta.json", edit("scored", ["Sane", "x"]), train, "some of these"),
        ("data/flat/meta.json", edit("scored", ["Sane", "Sane"]), train, "some of these"),
        ("data/flat/meta.json", lambda path: path.write_text(
            path.read_text().replace("Unsure", r"\ud800")), evaluate, "expected image_shape"),
        ("data/flat/y_train.npy", array(lambda y: y + 1), train, "labels from 1 to 3, expected 0"),
        ("data/flat/meta.json", edit("image_shape", [3, 5]), scale, "expected image_shape"),
        ("data/flat/meta.json", edit("image_shape", [3, 5, -4]), scale, "expected image_shape"),
        ("data/flat/meta.json", edit("image_shape", [3, 5, True]), scale, "expected image_shape"),
        ("data/flat/meta.json", edit("image_shape", [3, 4.0, 5]), scale, "expected image_shape"),
        ("data/flat/meta.json", edit("image_shape", [3, 5, 9**99]), scale, "expected rows of im"),
        ("metrics/small.json", write("{}"), compare, "expected accuracy, low, high from 0 to 1"),
        ("metrics/small.json", write("[]"), compare, "expected accuracy, low, high"),
        ("metrics/small.json", write("no JSON"), compare, "no readable JSON"),
        ("metrics/small.json", edit("accuracy", None), compare, "expected accuracy, low, high"),
        ("metrics/small.json", edit("accuracy", "0.5"), compare, "expected accuracy, low, high"),
        ("metrics/small.json", edit("high", 1.5), compare, "expected accuracy, low, high"),
        ("metrics/small.json", edit("low", float("nan")), compare, "expected accuracy, low, high"),
        ("metrics/small.json", edit("diverged", "no"), compare, "diverged, true or false"),
        ("metrics/majority.json", write("{}"), compare, "expected accuracy, low, high"),
        ("metrics/small.json", write("[]"), report, "expected accuracy, low, high"),
        ("metrics/majority.json", edit("low", None), report, "expected accuracy, low, high"),
        ("plots/history/small.csv", write(""), compare, "no rows"),
        ("plots/history/small.csv", changed("train_loss", "loss"), compare, "no column"),
        ("plots/history/small.csv", changed("\n0,", "\n0,x"), evaluate, "no readable table"),
        ("plots/history/small.csv", changed("\n1,", "\n"), evaluate, "a row is longer or shorter"),
        ("plots/history/small.csv", write(b"\xff\xfe"), compare, "no readable table"),
        ("plots/confusion/small.csv", changed("actual", "true"), compare, "no column 'actual'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(
    there: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    spoil: Callable[[Path], object],
    stage: Any,
    fragment: str,
) -> None:
    spoil(there / file)
    before = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as error:
        run(monkeypatch, stage, *(["small"] if stage in (train, evaluate) else []))
    line = str(error.value)
    assert fragment in line
    assert "\n" not in line
    assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == before


def test_models_that_were_not_tested_on_the_same_rows_are_not_compared(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ONE_MODEL.replace("models:\n", "models:\n  other:\n    arch: SimpleNN2\n    lr: 0.1\n"
                              "    batch_size: 5\n")  # fmt: skip
    (there / "params.yaml").write_text(other)
    for name in ("metrics/{}.json", "plots/history/{}.csv", "plots/confusion/{}.csv"):
        shutil.copy(there / name.format("small"), there / name.format("other"))
    run(monkeypatch, compare)
    table = there / "plots/confusion/small.csv"
    lines = table.read_text().splitlines()
    for spoilt in (lines[:-1], [*lines[:-1], "Ill," + lines[-1].split(",")[1]]):
        table.write_text("\n".join(spoilt) + "\n")
        with pytest.raises(InputError, match=r"small.csv: other test rows than in other.csv"):
            run(monkeypatch, compare)


def test_weights_that_are_not_finite_are_kept_as_of_a_run_that_diverged(tmp_path: Path) -> None:
    network, path = nn.Linear(3, 2), tmp_path / "w.safetensors"
    with torch.no_grad():
        network.weight[0, 0] = torch.inf  # after the very last step, say
    save_weights(path, network)
    load_weights(path, network)
    assert all(tensor.isnan().all() for tensor in network.state_dict().values())


STATISTICS = {"mean": np.zeros(4), "var": np.ones(4), "scale": np.ones(4), "n_samples": np.int64(9)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", None),
        ("mean", np.zeros(3)),
        ("mean", np.zeros((4, 1))),
        ("mean", np.zeros(4, np.float32)),
        ("mean", np.array([0, np.nan, 0, 0])),
        ("scale", np.array([1, 0, 1, 1.0])),
        ("scale", -np.ones(4)),
        ("var", np.array([Canary()] * 4, object)),
        ("n_samples", np.int64(0)),
        ("n_samples", np.float64(np.nan)),
        ("n_samples", np.array("9")),
        ("n_samples", np.ones(4, np.int64)),
    ],
)
def test_a_scaler_that_does_not_fit_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {key: v for key, v in {**STATISTICS, name: value}.items() if v is not None}
    np.savez(tmp_path / "scaler.npz", allow_pickle=True, **values)
    with pytest.raises(InputError, match=r"scaler.npz: (expected finite|no whole scaler)"):
        load_scaler(tmp_path / "scaler.npz", 4)
    assert not Path("canary").exists()


def test_a_scaler_read_back_scales_as_the_one_that_was_saved(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    save_scaler(tmp_path / "scaler.npz", fit_scaler(x), 4)
    (scaled,) = scaled_chunks(load_scaler(tmp_path / "scaler.npz", 4), x)
    np.testing.assert_array_equal(scaled, StandardScaler().fit_transform(x))
    with pytest.raises(InputError, match=r"of shape \(5,\)"):
        load_scaler(tmp_path / "scaler.npz", 5)


def test_files_with_flipped_bytes_are_read_or_are_one_line(there: Path) -> None:
    save_weights(Path("w.safetensors"), nn.Linear(2, 2))
    save_scaler(Path("s.npz"), fit_scaler(np.eye(2, dtype=np.float32)), 2)
    readers: dict[str, Callable[[Path], object]] = {
        "w.safetensors": lambda path: load_weights(path, nn.Linear(2, 2)),
        "s.npz": lambda path: load_scaler(path, 2),
        "data/flat/y_test.npy": read_array,
        "data/flat/meta.json": read_meta,
        "metrics/small.json": read_metrics,
        "plots/history/small.csv": lambda path: read_csv(path, {"train_loss": float}),
        "plots/sample.png": read_json,
    }
    rng = random.Random(0)
    for file, reader in readers.items():
        whole = Path(file).read_bytes()
        for _ in range(300):
            spoilt = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                spoilt[rng.randrange(min(300, len(spoilt)))] = rng.randrange(256)
            Path("spoilt").write_bytes(spoilt[: rng.choice([None, rng.randrange(len(spoilt))])])
            try:
                reader(Path("spoilt"))
            except InputError as error:
                said = str(error)
            except OSError:
                continue
            else:
                continue
            assert said.startswith("spoilt: ")
    assert not Path("canary").exists()
