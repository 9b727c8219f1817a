import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from mri_stages.config.schema import Model
from mri_stages.errors import InputError
from mri_stages.models import make_network
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.storage.weights import save_weights
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.fit import (
    FitResult,
    build_network,
    check_last_batches,
    count_training_rows,
    fit,
)
from mri_stages.training.loop import train
from mri_stages.training.validation import choose_validation_rows
from tests.helpers.params import DEFAULT_PARAMS
from tests.helpers.plain_training import assert_same_state

SHAPE = (1, 5, 4)
INFO = Info(image_shape=SHAPE, classes=["a", "b", "c"], counts={})
RNG = np.random.default_rng(0)
DATA = LabelledImages(
    images=RNG.normal(size=(30, *SHAPE)).astype(np.float32),
    labels=np.arange(30) % 3,
    subjects=np.arange(30) % 15,
)


def make_model(**changes: object) -> Model:
    model = DEFAULT_PARAMS["train"] | {"arch": "simple_nn2", "lr": 0.1, "batch_size": 5, "seed": 7}
    return Model.model_validate(model | changes)


def test_build_network_is_that_of_the_model_and_its_seed() -> None:
    network = build_network(make_model(), INFO)
    assert_same_state(network, make_network("simple_nn2", SHAPE, 3, seed=7), rtol=0, atol=0)


@pytest.mark.parametrize("validation", [0, 0.4])
def test_fit_trains_a_fresh_network_on_the_rows(validation: float) -> None:
    model = make_model(validation=validation)
    expected = make_network("simple_nn2", SHAPE, 3, seed=7)
    mask = choose_validation_rows(model, DATA.labels, DATA.subjects, INFO.classes)
    expected_history = train(
        expected,
        torch.from_numpy(DATA.images),
        torch.from_numpy(DATA.labels),
        model,
        validation_mask=None if mask is None else torch.from_numpy(mask),
    )

    result = fit(model, DATA, INFO)
    assert result.history == expected_history
    assert_same_state(result.network, expected, rtol=0, atol=0)


def test_fit_uses_the_threads_of_the_model() -> None:
    fit(make_model(threads=2, epochs=1), DATA, INFO)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert n_threads == 2


def test_fit_quietly_prints_no_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    fit(make_model(), DATA, INFO, quiet=True)
    assert "epoch" not in capsys.readouterr().out


def name_weights(path: Path) -> dict[str, str]:
    """Return `weights` of a model that begins with the weights of a file."""
    return {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.fixture
def trained_file(tmp_path: Path) -> Path:
    """Return a file of weights of simple_nn2 for two classes, of another seed."""
    path = tmp_path / "w.safetensors"
    save_weights(path, make_network("simple_nn2", SHAPE, 2, seed=8))
    return path


def test_fit_begins_with_the_weights_of_the_file(trained_file: Path) -> None:
    model = make_model(weights=name_weights(trained_file), lr=1e-30, epochs=1)
    network = fit(model, DATA, INFO).network
    fresh = make_network("simple_nn2", SHAPE, 3, seed=7).state_dict()
    trained = make_network("simple_nn2", SHAPE, 2, seed=8).state_dict()
    expected = fresh | {name: trained[name] for name in ("1.weight", "1.bias")}
    torch.testing.assert_close(network.state_dict(), expected, rtol=0, atol=1e-6)


def test_fit_without_the_file_of_weights_names_its_hash(trained_file: Path) -> None:
    weights = name_weights(trained_file)
    trained_file.unlink()
    with pytest.raises(InputError, match=weights["sha256"]):
        fit(make_model(weights=weights), DATA, INFO)


def test_build_network_needs_no_file_of_weights(trained_file: Path) -> None:
    weights = name_weights(trained_file)
    trained_file.unlink()
    build_network(make_model(weights=weights), INFO)


def test_fit_trains_only_what_is_not_frozen(trained_file: Path) -> None:
    model = make_model(weights=name_weights(trained_file), freeze=["1"])
    network = fit(model, DATA, INFO).network
    trained = make_network("simple_nn2", SHAPE, 2, seed=8).state_dict()
    fresh = make_network("simple_nn2", SHAPE, 3, seed=7).state_dict()
    assert torch.equal(network.state_dict()["1.weight"], trained["1.weight"])
    assert not torch.equal(network.state_dict()["3.weight"], fresh["3.weight"])


def test_fit_refuses_to_freeze_fresh_weights_beside_a_file(trained_file: Path) -> None:
    model = make_model(weights=name_weights(trained_file), freeze=["3"])
    with pytest.raises(InputError, match=r"did not fill: 3\.weight, 3\.bias"):
        fit(model, DATA, INFO)


def test_fit_refuses_to_freeze_everything() -> None:
    with pytest.raises(InputError, match="no parameter"):
        fit(make_model(freeze=["1", "3"]), DATA, INFO)


ENSEMBLES: dict[str, dict[str, Any]] = {
    "plain": {},
    "validation": {"validation": 0.4, "lr": 0.5, "epochs": 4},
    "patience": {"validation": 0.4, "lr": 0.5, "epochs": 4, "patience": 1},
    "own parts": {"arch": "own_parts", "loss": "own", "augment": "own", "shuffle": True},
    "class weights": {"class_weights": "balanced", "optimizer": "adamw"},
}


@pytest.mark.parametrize("changes", ENSEMBLES.values(), ids=ENSEMBLES)
def test_fit_trains_each_network_of_an_ensemble_as_alone(
    own_parts: ModuleType, changes: dict[str, Any]
) -> None:
    model = make_own_model(**changes)
    result: Any = fit(model.model_copy(update={"ensemble": 3}), DATA, INFO)

    expected_history = []
    for number, network in enumerate(result.network):
        alone = fit(model.model_copy(update={"seed": 7 + number}), DATA, INFO)
        assert_same_state(network, alone.network, rtol=0, atol=0)
        expected_history += [row._replace(network=number) for row in alone.history]
    assert result.history == expected_history


def make_own_model(**changes: Any) -> Model:
    """Return a model of an architecture that only the fixture `own_parts` makes known."""
    arch = changes.pop("arch", "simple_nn2")
    return make_model(**changes).model_copy(update={"arch": arch})


def test_fit_begins_each_network_with_the_weights_of_the_file(trained_file: Path) -> None:
    weights = name_weights(trained_file)
    model = make_model(weights=weights, freeze=["1"], ensemble=2)
    ensemble: Any = fit(model, DATA, INFO).network
    trained = make_network("simple_nn2", SHAPE, 2, seed=8).state_dict()
    first, second = (network.state_dict() for network in ensemble)
    assert torch.equal(first["1.weight"], trained["1.weight"])
    assert torch.equal(second["1.weight"], trained["1.weight"])
    assert not torch.equal(first["3.weight"], second["3.weight"])


def make_resnet_rows() -> LabelledImages:
    """Return images that resnet takes, of subjects that have one to three rows each."""
    subjects = np.repeat(np.arange(18), np.arange(18) // 3 % 3 + 1)
    images = RNG.normal(size=(len(subjects), 1, 16, 16)).astype(np.float32)
    return LabelledImages(images, subjects % 3, subjects)


RESNET_INFO = Info(image_shape=(1, 16, 16), classes=["a", "b", "c"], counts={})


def test_fit_refuses_a_last_batch_of_a_later_network_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The seed of the second network holds out other subjects: BatchNorm refuses its last row."""
    data = make_resnet_rows()
    model = make_model(arch="resnet", validation=0.4, ensemble=2)
    counts = count_training_rows(model, data.labels, data.subjects, RESNET_INFO.classes)
    assert counts[0] != counts[1]
    model = model.model_copy(update={"batch_size": counts[1] - 1})
    with pytest.raises(InputError, match=f"last batch of {counts[1]} rows"):
        fit(model, data, RESNET_INFO)
    assert "epoch" not in capsys.readouterr().out


def test_check_last_batches_accepts_one_row_for_frozen_batchnorm() -> None:
    model = make_model(arch="resnet", batch_size=22, freeze=["2", "4", "5", "6"])
    check_last_batches(model, RESNET_INFO, [23])


N_AUGMENT_CALLS = 2 + 3 * 6  # of a network: a check's, and three epochs of six batches


@pytest.mark.parametrize("n_calls", [N_AUGMENT_CALLS + 2 + 12 + 3, 2 * N_AUGMENT_CALLS, 16])
def test_fit_of_a_killed_ensemble_resumes_to_the_same_bits(
    own_parts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n_calls: int
) -> None:
    model = make_own_model(arch="own_parts", augment="own", epochs=3, ensemble=3)
    expected = fit(model, DATA, INFO)

    augment = own_parts.augment
    waiting = iter(range(n_calls))

    def stop_after_calls(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if next(waiting, None) is None:
            raise KeyboardInterrupt
        augmented: torch.Tensor = augment(images, generator)
        return augmented

    monkeypatch.setattr(own_parts, "augment", stop_after_calls)
    with pytest.raises(KeyboardInterrupt):
        fit_with_checkpoint(model, tmp_path)
    monkeypatch.setattr(own_parts, "augment", augment)

    result = fit_with_checkpoint(model, tmp_path)
    assert result.history == expected.history
    assert_same_state(result.network, expected.network, rtol=0, atol=0)


def fit_with_checkpoint(model: Model, folder: Path) -> FitResult:
    return fit(model, DATA, INFO, checkpoint=Checkpoint(folder / "m.key.checkpoint", seconds=0))


def test_fit_trains_no_finished_network_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(ensemble=2)
    fit_with_checkpoint(model, tmp_path)
    capsys.readouterr()
    fit_with_checkpoint(model, tmp_path)
    assert "epoch" not in capsys.readouterr().out


def test_fit_leaves_only_files_that_git_ignores(tmp_path: Path) -> None:
    """A checkpoint ends as .gitignore and .dvcignore say, and no network keeps two."""
    fit_with_checkpoint(make_model(ensemble=2), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["m.key.0.result.checkpoint", "m.key.1.result.checkpoint"]
