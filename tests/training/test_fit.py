import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from mri_stages.config.schema import Model
from mri_stages.errors import InputError
from mri_stages.models import make_network
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.storage.weights import save_weights
from mri_stages.training.fit import build_network, fit
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
