"""Raw tensors of every kind: taken as the plain computation takes them, or refused in one line."""

import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.preprocessing import StandardScaler

from src.arrays import pixels, read_images
from src.cli import InputError
from src.raw import INTEGERS, PIXELS, SPLITS, images_of, read_raw, read_tensor
from stages import load, scale
from tests.conftest import PARAMS, RunStage, load_npy, write_raw

SHAPE = (23, 3, 36, 40)


def rewritten(path: Path, change: Callable[[str, bytes], bytes], method: int = 0) -> None:
    """Write the zip at `path` again, each record as `change` makes it."""
    with zipfile.ZipFile(path) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in records:
            archive.writestr(name, change(name, data))


def saved_on_a_gpu(path: Path) -> None:
    def on_gpu(name: str, data: bytes) -> bytes:
        assert not name.endswith("data.pkl") or b"X\x03\x00\x00\x00cpu" in data
        return data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")

    rewritten(path, on_gpu)


def in_big_endian(path: Path) -> None:
    def big(name: str, data: bytes) -> bytes:
        if name.endswith("byteorder"):
            return b"big"
        return np.frombuffer(data, "<f4").astype(">f4").tobytes() if "/data/" in name else data

    rewritten(path, big)


def as_is(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "spoil", "note"),
    [
        (torch.Tensor.double, as_is, "float64; taken as float32, rounded"),
        (torch.Tensor.half, as_is, "float16; taken as float32"),
        (torch.Tensor.bfloat16, as_is, "bfloat16; taken as float32"),
        (lambda x: (x * 255).to(torch.uint8), as_is, "uint8; taken as float32, a grey level k as"),
        (lambda x: (x * 255).to(torch.uint16), as_is, "uint16; taken as float32, a grey level k"),
        (lambda x: (x * 255).long(), as_is, "int64; taken as float32, a grey level k as k, not"),
        (lambda x: x.clone().requires_grad_(), as_is, "requires_grad; taken as float32"),
        (torch.nn.Parameter, as_is, "requires_grad; taken as float32"),
        (lambda x: x.transpose(2, 3).contiguous().transpose(2, 3), as_is, "not contiguous; taken"),
        (lambda x: x[:, :1, :1].expand(SHAPE), as_is, "not contiguous; taken as float32"),
        (lambda x: torch.cat([x, x])[5:28], as_is, None),
        (lambda x: torch._neg_view(x), as_is, None),
        (torch.clone, saved_on_a_gpu, "saved on cuda:0; taken as float32"),
        (torch.clone, in_big_endian, None),
    ],
)
def test_harmless_pixels_are_the_plain_ones_and_a_note(
    tmp_path: Path,
    make: Callable[[torch.Tensor], torch.Tensor],
    spoil: Callable[[Path], None],
    note: str | None,
) -> None:
    write_raw(tmp_path / "raw")
    path = tmp_path / "raw/train_data.pt"
    images = make(torch.load(path, weights_only=True))
    torch.save(images, path)
    spoil(path)
    raw = read_raw(tmp_path / "raw")
    expected = images.detach().to(torch.float32).resolve_neg().numpy()
    np.testing.assert_array_equal(images_of(raw, np.arange(len(expected))), expected)
    assert [f"{path}: {note}" in said for said in raw.notes] == ([True] if note else [])


@pytest.mark.parametrize("file", ["train_labels.pt", "test_subjects.pt"])
@pytest.mark.parametrize(
    ("make", "note"),
    [
        (lambda y: y[:, None], "x 1; taken as one"),
        (lambda y: y.to(torch.uint8), None),
        (lambda y: y.to(torch.uint64), None),
        (lambda y: torch._neg_view(-y), None),
        (lambda y: y.repeat_interleave(2)[::2], "not contiguous; taken as one"),
    ],
)
def test_harmless_labels_and_ids_are_the_plain_ones(
    tmp_path: Path, file: str, make: Callable[[torch.Tensor], torch.Tensor], note: str | None
) -> None:
    write_raw(tmp_path / "raw")
    plain = read_raw(tmp_path / "raw")
    path = tmp_path / "raw" / file
    torch.save(make(torch.load(path, weights_only=True)), path)
    raw = read_raw(tmp_path / "raw")
    np.testing.assert_array_equal(raw.train.labels, plain.train.labels)
    assert raw.test.subjects is not None
    assert plain.test.subjects is not None
    np.testing.assert_array_equal(raw.test.subjects, plain.test.subjects)
    assert [note in said for said in raw.notes if note] == ([True] if note else [])


def quantised(x: torch.Tensor) -> torch.Tensor:
    return torch.quantize_per_tensor(x, 1 / 255, 0, torch.quint8)


def nested(x: torch.Tensor) -> torch.Tensor:
    return torch.nested.nested_tensor([x.flatten()[:3], x.flatten()[:5]], layout=torch.jagged)


@pytest.mark.filterwarnings("ignore")  # torch's own, of the kinds of tensor saved here
@pytest.mark.parametrize("file", ["train_data.pt", "train_labels.pt", "train_subjects.pt"])
@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda x: x.numpy(), "more than numbers"),
        (lambda x: [x], "holds a list"),
        (lambda x: {"x": x}, "holds a dict"),
        (lambda x: (x, {"nested": [x]}), "holds a tuple"),
        (lambda x: torch.nn.Linear(2, 2), "more than numbers"),
        (lambda x: None, "holds a NoneType"),
        (lambda x: x.to_sparse(), "sparse_coo tensor"),
        (lambda x: x.float().reshape(23, -1).to_sparse_csr(), "sparse_csr tensor"),
        (lambda x: quantised(x.float()), "quantised tensor"),
        (nested, "nested tensor"),
        (lambda x: x.to("meta"), "meta tensor"),
        (lambda x: x.to(torch.complex64), "of complex64, expected"),
        (lambda x: x.bool(), "of bool, expected"),
        (lambda x: x.float().to(torch.float8_e4m3fn), "of float8_e4m3fn, expected"),
        (lambda x: x[:0], ("none of them 0", "no labels", "0 subjects for 23")),
        (lambda x: x.flatten()[0], "shape ()"),
        (lambda x: x[None], ("shape 1 x 23 x", "shape 1 x 23", "shape 1 x 23")),
        (lambda x: x[:20], ("23 labels for 20", "20 labels for 23", "20 subjects for 23")),
    ],
)
def test_what_is_no_plain_tensor_is_one_line(
    tmp_path: Path, file: str, make: Callable[[torch.Tensor], Any], fragment: str | tuple[str, ...]
) -> None:
    write_raw(tmp_path / "raw")
    path = tmp_path / "raw" / file
    torch.save(make(torch.load(path, weights_only=True)), path)
    if isinstance(fragment, tuple):
        fragment = fragment[["train_data.pt", "train_labels.pt", "train_subjects.pt"].index(file)]
    assert fragment in refusal(tmp_path / "raw")


def refusal(folder: Path) -> str:
    """The one line with which `read_raw` refuses the folder."""
    with pytest.raises(InputError) as error:
        read_raw(folder)
    line = str(error.value)
    assert str(folder) in line
    assert line.isprintable()
    return line


@pytest.mark.parametrize(
    ("labels", "fragment"),
    [
        (torch.eye(3).repeat(8, 1)[:23].long(), "shape 23 x 3, expected one label"),
        ((torch.arange(23) % 3).float(), "float32, expected int64"),
        (torch.arange(23) % 3 - 1, "labels from -1 to 1, expected 0 to 2"),
        (torch.zeros(1).long().expand(10**12), "8 stored bytes expanded to 8000000000000"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: torch.Tensor, fragment: str) -> None:
    write_raw(tmp_path / "raw")
    torch.save(labels, tmp_path / "raw/train_labels.pt")
    assert fragment in refusal(tmp_path / "raw")


@pytest.fixture
def here(raw: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The good raw folder, with the workspace as the current folder: stages run in process."""
    monkeypatch.chdir(workspace)
    return raw


def test_gaps_one_class_only_and_a_class_unseen_in_train(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(torch.full((23,), 2), here / "train_labels.pt")
    load.main()
    assert "no training row is of class Ill" in capsys.readouterr().out
    (here / "classes.json").unlink()  # then the classes are 0 to 2, with gaps
    load.main()
    assert "no training row is of class 1;" in capsys.readouterr().out
    torch.save(torch.full((23,), 0), here / "train_labels.pt")
    assert "1 class, expected two or more" in refusal(here)
    torch.save(torch.arange(23) % 2, here / "train_labels.pt")
    assert "test_labels.pt: labels from 0 to 2, expected 0 to 1" in refusal(here)


@pytest.mark.parametrize("file", ["train_subjects.pt", "test_subjects.pt", "classes.json"])
def test_an_optional_file_that_links_to_nothing_is_one_line(tmp_path: Path, file: str) -> None:
    write_raw(tmp_path / "raw")
    (tmp_path / "raw" / file).unlink()
    (tmp_path / "raw" / file).symlink_to("gone")
    assert "no such file" in refusal(tmp_path / "raw")


def test_class_names_that_would_spoil_a_picture_or_a_terminal(here: Path) -> None:
    for name in ("\ud800", "a\nb", "\x1b[2J"):
        (here / "classes.json").write_text(json.dumps([name, "b", "c"]))
        assert "expected a JSON list of distinct class names, printable" in refusal(here)
    (here / "classes.json").write_text(json.dumps(["$\\frac{$", "a,\"b'", "Démence"]))
    load.main()


def test_a_class_name_that_the_terminal_has_no_letters_for(
    raw: Path, workspace: Path, run_stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (raw / "classes.json").write_text(json.dumps(["Ill", "Sane", "Unsure", "Démence"]))
    assert r"no training row is of class D\xe9mence" in run_stage("load").stdout
    assert (workspace / "plots/sample.png").is_file()


def cut_at(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(share * len(data))]


@pytest.mark.parametrize("file", [f"{s}_{w}.pt" for s in SPLITS for w in ("data", "labels")])
@pytest.mark.parametrize(
    "spoil",
    [
        *map(cut_at, (0, 0.001, 0.3, 0.9, 0.99, 0.9999)),
        lambda data: random.Random(0).randbytes(len(data)),
        lambda data: b"PK\x03\x04" + random.Random(0).randbytes(500),
        lambda data: pickle.dumps(np.zeros(3)),
        lambda data: pickle.dumps([1, 2]),
        lambda data: BytesIO().getvalue(),
    ],
)
def test_a_cut_or_random_file_is_one_line(
    tmp_path: Path, file: str, spoil: Callable[[bytes], bytes]
) -> None:
    write_raw(tmp_path / "raw")
    path = tmp_path / "raw" / file
    path.write_bytes(spoil(path.read_bytes()))
    assert file in refusal(tmp_path / "raw")


@pytest.mark.parametrize("file", ["train_data.pt", "train_labels.pt", "train_subjects.pt"])
def test_a_zip_that_is_not_torchs_own_gives_no_number(tmp_path: Path, file: str) -> None:
    # torch maps the bytes from where a record begins, whether it is compressed or cut, or not.
    write_raw(tmp_path / "raw")
    path = tmp_path / "raw" / file
    whole = path.read_bytes()
    rewritten(path, lambda name, data: data, zipfile.ZIP_DEFLATED)
    refusal(tmp_path / "raw")
    # Nor is what holds no values unpacked: it could grow a thousandfold.
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more", bytes(10**6))
    assert "a compressed zip" in refusal(tmp_path / "raw")
    path.write_bytes(whole)
    rewritten(path, lambda name, data: data[:50] if "/data/" in name else data)
    refusal(tmp_path / "raw")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no tensor")
    assert "torch cannot read it" in refusal(tmp_path / "raw")


class Canary:
    """Unpickled by a loader that runs code, it creates the file `canary`."""

    def __init__(self, by: Callable[..., object], *arguments: object) -> None:
        self.by, self.arguments = by, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.by, self.arguments


@pytest.mark.parametrize("file", [f"{s}_{w}.pt" for s in SPLITS for w in ("data", "labels")])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "code",
    [
        Canary(os.system, "touch canary"),
        Canary(eval, "open('canary', 'w')"),
        Canary(exec, "open('canary', 'w')"),
        Canary(Path.touch, Path("canary")),
        Canary(getattr, Path("canary"), "touch"),
        {"weight": [torch.zeros(3), Canary(open, "canary", "w")]},
    ],
)
def test_no_code_in_a_file_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, zipped: bool, code: object
) -> None:
    monkeypatch.chdir(tmp_path)
    write_raw(tmp_path / "raw")
    torch.save(code, tmp_path / "raw" / file, _use_new_zipfile_serialization=zipped)
    assert "damaged, or holds more than numbers" in refusal(tmp_path / "raw")
    assert not Path("canary").exists()


def test_the_canary_does_sing_where_code_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Canary(eval, "open('canary', 'w').close()")))
    assert Path("canary").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_with_flipped_bytes_is_a_tensor_or_one_line(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "x.pt"
    torch.save(torch.arange(6), path, _use_new_zipfile_serialization=not legacy)
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(500):
        spoilt = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        path.write_bytes(spoilt)
        try:
            tensor, _ = read_tensor(path)
        except (InputError, OSError):
            continue
        assert isinstance(tensor, torch.Tensor)


NUMPY = {
    np.dtype(str(dtype).removeprefix("torch."))
    for dtype in PIXELS
    if dtype.is_floating_point and dtype != torch.bfloat16
} | {np.dtype(str(d).removeprefix("torch.")) for d in INTEGERS}
EXTREME = (0.0, 1e-45, 1e-38, -1.0, 1.0, 255.0, 1e38, 3.4e38, -3.4e38, 1e300, np.nan, np.inf)


@st.composite
def image_pairs(draw: st.DrawFn) -> list[np.ndarray]:
    """Images (N, C, H, W) of train and test, of one shape and of any dtype each."""
    n_train, n_test, *shape = draw(array_shapes(min_dims=5, max_dims=5, max_side=5))
    pair = []
    for n_rows in (n_train + 1, n_test):
        dtype = draw(st.sampled_from(sorted(NUMPY, key=str)))
        elements = None
        if dtype.kind == "f":
            width = 8 * dtype.itemsize
            plain = st.floats(-1, 1, width=32 if width > 16 else 16)
            largest = float(np.finfo(dtype).max)
            extreme = [v for v in EXTREME if not np.isfinite(v) or abs(v) <= largest]
            elements = st.one_of(plain, st.sampled_from([float(dtype.type(v)) for v in extreme]))
        pair.append(draw(arrays(dtype, (n_rows, *shape), elements=elements)))
    return pair


@settings(max_examples=40, deadline=None)
@given(image_pairs())
def test_the_arrays_are_the_plain_computation_or_there_is_one_line(pair: list[np.ndarray]) -> None:
    with TemporaryDirectory() as folder:
        home = Path.cwd()
        os.chdir(folder)
        try:
            arrays_of_the_pipeline(dict(zip(SPLITS, pair, strict=True)))
        finally:
            os.chdir(home)


def arrays_of_the_pipeline(images: dict[str, np.ndarray]) -> None:
    Path("params.yaml").write_text(PARAMS)
    Path("data/raw").mkdir(parents=True)
    for split in SPLITS:
        torch.save(torch.from_numpy(images[split]), f"data/raw/{split}_data.pt")
        torch.save(torch.arange(len(images[split])) % 2, f"data/raw/{split}_labels.pt")
    with np.errstate(all="ignore"):
        plain = {split: images[split].astype(np.float32) for split in SPLITS}
        flat = {split: plain[split].reshape(len(plain[split]), -1) for split in SPLITS}
        in_range = all(np.isfinite(x).all() for x in flat.values())
        if in_range:
            scaler = StandardScaler().fit(flat["train"])
            scaled = {split: scaler.transform(flat[split]) for split in SPLITS}
    said = StringIO()
    with redirect_stderr(said):
        if not in_range:
            with pytest.raises(InputError, match=r"_data.pt: row \d+ holds"):
                load.main()
            return
        load.main()
        for split in SPLITS:
            stored = read_images(Path(f"data/flat/x_{split}.npy"), plain[split].shape[1:])
            np.testing.assert_array_equal(pixels(stored), plain[split])
        if not all(np.isfinite(x).all() for x in scaled.values()):
            with pytest.raises(InputError, match=r"x_\w+.npy: row \d+, scaled, is beyond"):
                scale.main()
            return
        scale.main()
    for split in SPLITS:
        got = load_npy(Path(f"data/scaled/x_{split}.npy"))
        copies = flat[split].shape[1] // got.shape[1]
        np.testing.assert_array_equal(np.tile(got, copies), scaled[split])
    assert "Warning" not in said.getvalue()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (1, 1, 10**6)])
def test_the_smallest_and_the_widest_image(here: Path, shape: tuple[int, int, int]) -> None:
    for split, n_rows in (("train", 23), ("test", 14)):
        torch.save(torch.rand(n_rows, 1, *shape[1:]).repeat(1, shape[0], 1, 1),
                   here / f"{split}_data.pt")  # fmt: skip
    load.main()
    scale.main()
    x = torch.load(here / "train_data.pt", weights_only=True).flatten(1).numpy()
    scaled = load_npy(Path("data/scaled/x_train.npy"))
    np.testing.assert_array_equal(np.tile(scaled, shape[0]), StandardScaler().fit_transform(x))


def test_values_that_overflow_where_they_are_scaled_are_one_line(here: Path) -> None:
    images = torch.load(here / "train_data.pt", weights_only=True)
    images[:, 0, 9, 9] = 3.4e38
    images[17, 0, 9, 9] = -3.4e38
    torch.save(images, here / "train_data.pt")
    load.main()
    with pytest.raises(InputError, match=r"x_train.npy: row 17, scaled, is beyond float32"):
        scale.main()
    assert not list(Path("data/scaled").glob("*x_train*"))
    torch.save(images.double() * 10, here / "train_data.pt")
    with pytest.raises(InputError, match=r"train_data.pt: row 0 holds a float64 beyond float32"):
        load.main()
