"""Which architectures take images of a size, with networks of this project and of others."""

from pathlib import Path

import pytest

import mri_stages.models
from mri_stages.config.schema import Model
from mri_stages.errors import InputError
from mri_stages.orchestration.image_sizes import (
    Refusal,
    RefusalKind,
    build_for_shapes,
    explain_refusal,
    find_fitting_size,
    find_refusals,
    find_smallest_side,
)
from tests.helpers.params import DEFAULT_PARAMS

SHAPE = (3, 12, 9)

# Functions make_network(shape, k) of files that people bring.
CODE = {
    "lazy": "nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(k))",
    "one_channel": "nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(k))",
    "one_logit": "nn.Sequential(nn.Flatten(), nn.LazyLinear(1))",
    "unpadded": "nn.Sequential(nn.Conv2d(shape[0], 4, 7), nn.Flatten(), nn.LazyLinear(k))",
    "whole_patches": "nn.Sequential(nn.Unflatten(2, (-1, 3)), nn.Flatten(), nn.LazyLinear(k))",
    "indices": "Indices(k)",
    "outside": "Outside(k)",
    "kernel": "nn.Sequential(nn.Conv2d(3, 4, options['size']), nn.Flatten(), nn.LazyLinear(k))",
}
CLASSES = """
import torch
from torch import nn

class Indices(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.register_buffer("places", torch.arange(k))
        self.table = nn.Embedding(k, k)

    def forward(self, x):
        return x.mean() + self.table(self.places)[:1]

class Outside(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.weights = torch.ones(k).tolist()

    def forward(self, x):
        return x.mean(dim=(1, 2, 3))[:, None] * torch.tensor(self.weights)
"""


@pytest.fixture(autouse=True)
def architectures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the architectures be those above, besides the project's own."""
    for name, expression in CODE.items():
        code = f"{CLASSES}\ndef make_network(shape, k, **options): return {expression}\n"
        (tmp_path / f"{name}.py").write_text(code)
    own_folders = list(mri_stages.models.__path__)
    monkeypatch.setattr(mri_stages.models, "__path__", [str(tmp_path), *own_folders])


def make_models(**archs: str) -> dict[str, Model]:
    """Return models of these architectures, by name; the schema knows those of the project only."""
    recipe = {**DEFAULT_PARAMS["train"], "lr": 0.1, "batch_size": 2, "arch": "simple_nn2"}
    model = Model.model_validate(recipe)
    return {name: model.model_copy(update={"arch": arch}) for name, arch in archs.items()}


@pytest.mark.parametrize("arch", ["lazy", "unpadded", "whole_patches", "indices", "outside"])
def test_explain_refusal_of_a_network_that_takes_the_images(arch: str) -> None:
    assert explain_refusal(arch, SHAPE, 3) == ""


@pytest.mark.parametrize(
    ("arch", "reason"),
    [("one_channel", "1 channels"), ("one_logit", "(1, 1)"), ("small_cnn", "8 x 8")],
)
def test_explain_refusal_says_why(arch: str, reason: str) -> None:
    text = explain_refusal(arch, (3, 9, 7), 3)
    assert reason in text
    assert "\n" not in text


def test_build_for_shapes_of_a_file_that_ends_the_process_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text("def make_network(shape, k): raise SystemExit('words')\n")
    with pytest.raises(InputError, match=r"leaves\.py: .*words"):
        build_for_shapes("leaves", SHAPE, 3)


def test_explain_refusal_names_the_file_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "misspelt.py").write_text("import torch\n\nlayer = nn.Flatten()\n")
    text = explain_refusal("misspelt", SHAPE, 3)
    assert "misspelt.py" in text
    assert "line 3: NameError" in text


@pytest.mark.parametrize(
    ("arch", "side"),
    [("simple_nn2", 1), ("small_cnn", 8), ("unpadded", 7), ("conv_nn2", 36), ("lazy", 3)],
)
def test_find_smallest_side(arch: str, side: int) -> None:
    assert find_smallest_side(arch, 3, 2) == side


def test_find_smallest_side_where_no_size_fits() -> None:
    assert find_smallest_side("one_channel", 3, 2) is None


def test_find_refusals_by_size_and_by_another_reason() -> None:
    models = make_models(first="small_cnn", second="simple_nn2", third="one_channel")
    refusals = find_refusals(models, (3, 7, 9), 2)
    assert list(refusals) == ["first", "third"]
    assert refusals["first"].smallest_side == 8
    assert refusals["third"].smallest_side is None
    assert "1 channels" in refusals["third"].reason


@pytest.mark.parametrize(
    ("arch", "code", "named"),
    [
        ("no_python", "def make_network(:", "SyntaxError"),
        ("raises", "raise ValueError('my words')", "my words"),
        ("exits", "raise SystemExit('my words')", "my words"),
        ("no_function", "def make_it(shape, k): pass", "make_network"),
        ("no_default", "def make_network(shape, k, depth): pass", "'depth'"),
    ],
)
def test_find_refusals_tells_a_broken_file_from_unfit_images(
    arch: str, code: str, named: str, tmp_path: Path
) -> None:
    (tmp_path / f"{arch}.py").write_text(code)
    refusals = find_refusals(make_models(first="small_cnn", second=arch), (3, 7, 9), 2)
    kinds = {name: refusal.kind for name, refusal in refusals.items()}
    assert kinds == {"first": RefusalKind.IMAGES, "second": RefusalKind.FILE}
    assert named in refusals["second"].reason
    assert f"{arch}.py" in refusals["second"].reason


def test_find_refusals_of_a_size_that_is_no_multiple() -> None:
    models = make_models(mine="whole_patches")
    assert find_refusals(models, (3, 3, 4), 2) == {}
    (refusal,) = find_refusals(models, (3, 4, 4), 2).values()
    assert refusal.smallest_side is None  # 3 x 3 fits, so it is not the size that is too small


def test_find_refusals_by_the_options_of_each_model() -> None:
    models = make_models(large="kernel", small="kernel")
    for name, size in {"large": 7, "small": 3}.items():
        models[name] = models[name].model_copy(update={"options": {"size": size}})
    refusals = find_refusals(models, (3, 5, 5), 2)
    assert {name: refusal.smallest_side for name, refusal in refusals.items()} == {"large": 7}
    assert find_fitting_size(refusals, models, (3, 5, 5), 2) == (7, 7)


def test_find_fitting_size_keeps_the_aspect_ratio() -> None:
    models = make_models(first="small_cnn", second="unpadded")
    refusals = find_refusals(models, (3, 6, 9), 2)
    assert find_fitting_size(refusals, models, (3, 6, 9), 2) == (8, 12)


def test_find_fitting_size_that_another_model_refuses() -> None:
    models = make_models(first="small_cnn", second="one_channel")
    refusals = {"first": Refusal("too small", 8)}
    assert find_fitting_size(refusals, models, (3, 7, 7), 2) is None
