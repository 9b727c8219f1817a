"""An own loss or augmentation is tried before a training, or refused with one line."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from mri_stages.errors import InputError
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.training.fit import fit
from mri_stages.training.own_part_checks import check_own_parts
from tests.helpers.plain_training import make_recipe
from tests.helpers.project import REPO

SHAPE = (1, 5, 4)
INFO = Info(image_shape=SHAPE, classes=["a", "b", "c"], counts={})
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(30, *SHAPE)).astype(np.float32)
LABELS = np.arange(30) % 3
FILE = "src/mri_stages/models/own_parts.py"


def check(**changes: Any) -> None:
    images = torch.from_numpy(IMAGES)
    labels = torch.from_numpy(LABELS)
    check_own_parts(make_recipe(**changes), INFO, images, labels, torch.device("cpu"))


def read_error(**changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        check(**changes)
    line = str(caught.value)
    assert line.startswith(FILE)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_check_own_parts_takes_good_ones(own_parts: ModuleType, class_weights: str | None) -> None:
    state = torch.get_rng_state()
    check(augment="own", loss="own", class_weights=class_weights)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["augment", "loss"])
def test_fit_names_the_function_that_is_missing(
    own_parts: ModuleType,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delattr(own_parts, name)
    with pytest.raises(InputError, match=rf"own_parts\.py: no function {name}\("):
        fit(make_recipe(**{name: "own"}), LabelledImages(IMAGES, LABELS, None), INFO)
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("augment", "text"),
    [
        (lambda images, generator: images[:, :, 1:], "augment returned (4, 1, 4, 4)"),
        (lambda images, generator: images[:2], "augment returned (2, 1, 5, 4)"),
        (lambda images, generator: images.double(), "torch.float64"),
        (lambda images, generator: images.numpy(), "augment returned ndarray"),
        (lambda images, generator: None, "augment returned NoneType"),
        (lambda images, generator: images / 0, "infinity"),
        (lambda images, generator: images + float(np.random.rand()), "two calls"),
        (lambda images, generator: images.view(3, 3), "RuntimeError"),
        (lambda images: images, "TypeError"),
    ],
)
def test_check_own_parts_names_the_fault_of_augment(
    own_parts: ModuleType,
    augment: Callable[..., Any],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_parts, "augment", augment)
    assert text in read_error(augment="own")


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (lambda logits, labels, weights: logits.mean(1), "loss returned (4,)"),
        (lambda logits, labels, weights: logits.mean(1)[:1], "loss returned (1,)"),
        (lambda logits, labels, weights: 1.0, "loss returned float"),
        (lambda logits, labels, weights: logits.mean() / 0, "loss is "),
        (lambda logits, labels, weights: logits.mean().detach(), "no gradient"),
        (lambda logits, labels, weights: (0 * logits).sqrt().mean(), "the gradient of loss is"),
        (lambda logits, labels, weights: weights.mean(), "AttributeError"),
        (lambda logits, labels: logits.mean(), "TypeError"),
    ],
)
def test_check_own_parts_names_the_fault_of_loss(
    own_parts: ModuleType,
    loss: Callable[..., Any],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_parts, "loss", loss)
    assert text in read_error(loss="own")


@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_check_own_parts_takes_those_of_the_docs(
    own_parts: ModuleType, class_weights: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPO / "docs/models.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = [block for block in blocks if "def augment" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    monkeypatch.setattr(own_parts, "augment", names["augment"])
    monkeypatch.setattr(own_parts, "loss", names["loss"])
    check(augment="own", loss="own", class_weights=class_weights)


def test_check_own_parts_tries_the_validation_loss(
    own_parts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_float32_only(logits: Any, labels: Any, weights: Any) -> Any:
        return logits.mean() if logits.dtype == torch.float32 else logits.mean(1)

    monkeypatch.setattr(own_parts, "loss", lose_float32_only)
    assert "loss returned (4,)" in read_error(loss="own")


def test_own_loss_has_a_weight_for_every_class(
    own_parts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_recipe(loss="own", class_weights="balanced", epochs=1)
    monkeypatch.setattr(own_parts, "loss", torch.nn.functional.cross_entropy)  # needs K weights
    fit(model, LabelledImages(IMAGES[:6], LABELS[:6] % 2, None), INFO)


def test_fit_refuses_an_augment_that_changes_the_shape_later(
    own_parts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crop_large_batches(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return images if len(images) < 5 else images[..., 1:]

    monkeypatch.setattr(own_parts, "augment", crop_large_batches)
    with pytest.raises(InputError, match=r"own_parts\.py: augment returned"):
        fit(make_recipe(augment="own"), LabelledImages(IMAGES, LABELS, None), INFO)


@pytest.mark.parametrize("name", ["augment", "loss"])
def test_fit_names_the_file_of_an_own_part_that_fails_later(
    own_parts: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the rows of the checks, and not the smaller last batch."""
    part = getattr(own_parts, name)
    arguments = {"augment": "first, second", "loss": "first, second, third"}[name]
    code = f"def {name}({arguments}):\n    assert len(first) > 3\n    return part({arguments})\n"
    content = {"part": part}
    exec(compile(code, "own_parts.py", "exec"), content)
    monkeypatch.setattr(own_parts, name, content[name])
    data = LabelledImages(IMAGES[:13], LABELS[:13], None)
    with pytest.raises(InputError, match=r"own_parts\.py: .*line 2: AssertionError"):
        fit(make_recipe(**{name: "own"}), data, INFO, quiet=True)
