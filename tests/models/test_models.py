"""The architectures against the notebook's, and what a file in src/mri_stages/models may hold."""

import random
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import mri_stages.models
from mri_stages.errors import InputError
from mri_stages.models import (
    NO_OPTIONS,
    Ensemble,
    Options,
    average_logits,
    explain_errors_in_file,
    keep_random_state,
    make_network,
    make_networks,
    seed_random_numbers,
)

SLICES = (3, 208, 176)

# Counted by hand from the notebook's layers.
COUNTS = {
    "simple_nn1": 109824 * 1024 + 1024 + 1024 * 512 + 512 + 512 * 256 + 256 + 256 * 128 + 128
    + 128 * 64 + 64 + 64 * 4 + 4,
    "simple_nn2": 109824 * 128 + 128 + 128 * 4 + 4,
    "conv_nn1": 8 * (3 * 25 + 1) + 16 * (8 * 25 + 1) + 16 * 49 * 41 * 3000 + 3000 + 3000 * 4 + 4,
    "conv_nn2": 16 * (3 * 25 + 1) + 32 * (16 * 25 + 1) + 64 * (32 * 25 + 1)
    + 64 * 22 * 18 * 128 + 128 + 128 * 4 + 4,
}  # fmt: skip


@pytest.mark.parametrize("arch", COUNTS)
def test_make_network_has_the_parameters_of_the_notebook(arch: str) -> None:
    with torch.device("meta"):
        network = import_module(f"mri_stages.models.{arch}").make_network(SLICES, 4)
        assert network(torch.empty(2, *SLICES)).shape == (2, 4)
    assert sum(parameter.numel() for parameter in network.parameters()) == COUNTS[arch]


# A file of the user's own may need options, or images of one size.
@pytest.mark.parametrize("arch", [*COUNTS, "resnet", "small_cnn"])
def test_make_network_takes_another_shape_and_number_of_classes(arch: str) -> None:
    network = make_network(arch, (1, 40, 44), 3, seed=0)
    assert network(torch.zeros(2, 1, 40, 44)).shape == (2, 3)


@pytest.mark.parametrize(
    ("arch", "smallest"),
    [("conv_nn1", 16), ("conv_nn2", 36), ("resnet", 16), ("small_cnn", 8)],
)
def test_make_network_takes_the_smallest_image_and_names_its_size(arch: str, smallest: int) -> None:
    make_network(arch, (1, smallest, smallest + 1), 2, seed=0)
    with pytest.raises(InputError, match=f"{smallest} x {smallest}"):
        make_network(arch, (1, smallest + 1, smallest - 1), 2, seed=0)


def test_make_network_draws_the_weights_of_the_seed() -> None:
    for seed in (7, 8, 2**32 + 7):
        network = make_network("simple_nn2", (1, 4, 5), 3, seed)
        torch.manual_seed(seed)
        plain = nn.Sequential(nn.Flatten(), nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 3))
        torch.testing.assert_close(network.state_dict(), plain.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("draw", ["random.random()", "numpy.random.random()"])
def test_make_network_seeds_other_random_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: str
) -> None:
    """A file may draw its weights by NumPy or Python."""
    layers = "nn.Sequential(nn.Flatten(), nn.LazyLinear(k))"
    code = (
        f"import random\nimport numpy\ndef make_network(shape, k):\n    network = {layers}\n"
        f"    network.scale = {draw}\n    return network"
    )
    assert made(monkeypatch, tmp_path, code).scale == made(monkeypatch, tmp_path, code).scale


def made(
    monkeypatch: pytest.MonkeyPatch, folder: Path, code: str, options: Options = NO_OPTIONS
) -> Any:
    """Return what make_network makes of a file in src/mri_stages/models with that code."""
    name = f"file{len(code)}"
    (folder / f"{name}.py").write_text(f"from torch import nn\n{code}")
    monkeypatch.setattr(mri_stages.models, "__path__", [str(folder)])
    return make_network(name, (1, 4, 4), 3, 0, options)


WRONG_LOGITS = "return nn.Sequential(nn.Flatten(), nn.LazyLinear(k + 1))"
A_LIST = "network = nn.Module(); network.forward = lambda x: [x]; return network"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "no function make_network"),
        (WRONG_LOGITS, r"\(1, 4\) .*expected logits \(1, 3\)"),
        (A_LIST, r"list .*expected logits \(1, 3\)"),
    ],
)
def test_make_network_names_the_file_of_a_network_without_the_right_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, text: str
) -> None:
    code = f"def make_network(shape, k): {body}" if body else ""
    with pytest.raises(InputError, match=rf"src/mri_stages/models/file{len(code)}\.py: .*{text}"):
        made(monkeypatch, tmp_path, code)


@pytest.mark.parametrize("code", ["exit(0)", "def make_network(shape, k): exit()", "import nope_"])
def test_make_network_names_the_file_that_ends_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with pytest.raises(InputError, match=rf"file{len(code)}\.py: .*line \d: (SystemExit|Module)"):
        made(monkeypatch, tmp_path, code)


@pytest.mark.parametrize(
    ("file", "statement", "kind"),
    [
        ("own", "1 / 0", InputError),
        ("own", "exit()", InputError),
        ("own", "raise MemoryError", MemoryError),
        ("other", "1 / 0", ZeroDivisionError),
        ("other", "exit()", SystemExit),
    ],
)
def test_only_errors_of_the_users_file_are_explained(
    tmp_path: Path, file: str, statement: str, kind: type[BaseException]
) -> None:
    path = tmp_path / f"{file}.py"
    path.write_text(f"def fail():\n    {statement}\nfail()\n")
    with pytest.raises(kind) as error, explain_errors_in_file("own", (1, 4, 4)):
        runpy.run_path(str(path))
    assert ("models/own.py: " in str(error.value)) is (kind is InputError)
    assert ("line 2: " in str(error.value)) is (kind is InputError)


def test_file_draws_the_same_random_numbers_at_each_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import torch\n\nRANDOM_SCALE = float(torch.rand(()))\ndef make_network(shape, k):\n"
        "    network = nn.Sequential(nn.Flatten(), nn.Linear(16, k))\n"
        "    network.scale = RANDOM_SCALE\n    return network"
    )
    scales = []
    for _ in range(2):
        scales.append(made(monkeypatch, tmp_path, code).scale)
        monkeypatch.delitem(sys.modules, f"mri_stages.models.file{len(code)}")
    assert scales[0] == scales[1]


def test_random_state_is_kept() -> None:
    seed_random_numbers(3)
    expected = draw_random_numbers()
    seed_random_numbers(3)
    with keep_random_state(torch.device("cpu")):
        draw_random_numbers()
    assert draw_random_numbers() == expected


def draw_random_numbers() -> list[float]:
    """Return a number of each source that a user's file may draw from."""
    return [float(torch.rand(())), np.random.random(), random.random()]


def test_make_network_keeps_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = "nn.BatchNorm2d(1).eval(), nn.BatchNorm2d(1), nn.Dropout(), nn.Flatten()"
    code = f"def make_network(shape, k):\n    return nn.Sequential({layers}, nn.LazyLinear(k))"
    network = made(monkeypatch, tmp_path, code)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(0)))
    assert [module.training for module in network] == [False, True, True, True, True]
    assert network[1].num_batches_tracked == 0


MAKE = "return nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.Linear(width, k))"


@pytest.mark.parametrize(
    "arguments",
    ["shape, k, width", "shape, k, width=5", "shape, k, *, width", "shape, k, **more"],
)
def test_make_network_gets_options(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    width = "" if "width" in arguments else "width = more['width']; "
    code = f"def make_network({arguments}): {width}{MAKE}"
    network = made(monkeypatch, tmp_path, code, {"width": 7})
    assert network[1].out_features == 7


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ("shape, k, width=5", {"widht": 7}, r"'widht', expected one of width$"),
        ("shape, k", {"width": 7}, r"'width', expected no options$"),
        ("shape, k", {"k": 7}, r"'k', expected no options$"),
        ("shape, k, width", {}, "needs the option 'width'"),
    ],
)
def test_make_network_names_a_wrong_option(
    arguments: str,
    options: Options,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match=rf"src/mri_stages/models/file\d+\.py: .*{text}"):
        made(monkeypatch, tmp_path, f"def make_network({arguments}): {MAKE}", options)


def count_block(n_in: int, n_out: int) -> int:
    """Return the parameters of a residual block: two convolutions, a shortcut, three norms."""
    return 9 * n_in * n_out + 9 * n_out * n_out + n_in * n_out + 3 * 2 * n_out


@pytest.mark.parametrize(
    ("arch", "count"),
    [
        (
            "resnet",
            9 * 3 * 16 + 2 * 16
            + count_block(16, 32) + count_block(32, 64) + count_block(64, 96)
            + 96 * 4 + 4,
        ),
        (
            "small_cnn",
            32 * (3 * 9 + 1) + 64 * (32 * 9 + 1) + 64 * 7 * 8 * 128 + 128 + 128 * 4 + 4,
        ),
    ],
)  # fmt: skip
def test_make_network_has_the_parameters_of_its_layers(arch: str, count: int) -> None:
    network = make_network(arch, (3, 28, 32), 4, seed=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_resnet_is_small_and_averages_large_images() -> None:
    network = make_network("resnet", SLICES, 4, seed=0)
    assert 100_000 < sum(parameter.numel() for parameter in network.parameters()) < 500_000
    x = torch.randn(2, *SLICES, generator=torch.Generator().manual_seed(0))
    averaged = nn.functional.avg_pool2d(x, 2)  # 176 pixels become 88
    small = make_network("resnet", (3, 104, 88), 4, seed=0)
    torch.testing.assert_close(network.eval()(x), small.eval()(averaged))


IMAGES = torch.rand(6, 1, 4, 5, generator=torch.Generator().manual_seed(0))


def test_make_networks_joins_networks_of_the_next_seeds() -> None:
    ensemble: Any = make_networks(3, "simple_nn2", (1, 4, 5), 3, 7)
    for number, network in enumerate(ensemble):
        expected = make_network("simple_nn2", (1, 4, 5), 3, 7 + number)
        torch.testing.assert_close(network.state_dict(), expected.state_dict(), rtol=0, atol=0)
    assert list(ensemble.state_dict())[:2] == ["0.1.weight", "0.1.bias"]
    assert len(ensemble) == 3


def test_make_networks_gives_a_single_network_as_it_is() -> None:
    network = make_networks(1, "simple_nn2", (1, 4, 5), 3, 7)
    expected = make_network("simple_nn2", (1, 4, 5), 3, 7)
    torch.testing.assert_close(network.state_dict(), expected.state_dict(), rtol=0, atol=0)


def test_ensemble_averages_probabilities() -> None:
    ensemble: Any = make_networks(3, "simple_nn2", (1, 4, 5), 3, 7)
    with torch.no_grad():
        probabilities = [network(50 * IMAGES).softmax(1) for network in ensemble]
        expected = torch.stack(probabilities).mean(0)
        torch.testing.assert_close(ensemble(50 * IMAGES).softmax(1), expected)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_ensemble_averages_in_float32_or_better(dtype: torch.dtype, expected: torch.dtype) -> None:
    logits = torch.zeros(2, 3, dtype=dtype)
    assert average_logits([logits, logits]).dtype is expected


def test_ensemble_of_networks_that_change_their_input_is_the_mean() -> None:
    networks: list[Any] = [
        nn.Sequential(nn.ELU(inplace=True), nn.Flatten(), nn.Linear(20, 2)) for _ in range(2)
    ]
    with torch.no_grad():
        probabilities = [network(IMAGES.clone()).softmax(1) for network in networks]
        outputs = Ensemble(networks)(IMAGES.clone()).softmax(1)
    torch.testing.assert_close(outputs, torch.stack(probabilities).mean(0))


def test_ensemble_of_certain_networks_is_finite() -> None:
    """Probabilities of 0 in float32 have a logarithm, since it is computed from the logits."""
    networks: list[Any] = [nn.Sequential(nn.Flatten(), nn.Linear(20, 2)) for _ in range(2)]
    for network in networks:
        network[1].weight.data.fill_(0)
        network[1].bias.data = torch.tensor([1000.0, 0.0])
    with torch.no_grad():
        assert Ensemble(networks)(IMAGES).isfinite().all()


def test_ensemble_with_a_network_of_nan_gives_nan() -> None:
    ensemble: Any = make_networks(2, "simple_nn2", (1, 4, 5), 3, 7)
    with torch.no_grad():
        ensemble[1][1].weight.fill_(torch.nan)
        assert ensemble(IMAGES).isnan().all()
