"""`mri-stages models`: the list, and what a removal changes in a small DVC project."""

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save

import mri_stages.models
from mri_stages.commands import models
from mri_stages.config.loading import read_params
from mri_stages.errors import InputError
from mri_stages.orchestration.image_sizes import RefusalKind
from mri_stages.orchestration.model_results import ResultState, find_result_states
from tests.helpers.dvc_projects import DVC, shell_stage, start_command, write_project
from tests.helpers.params import REMOVED, change_params, load_params
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import list_files

# DVC's own code uses it.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")

MAX_COLUMNS = 100


@pytest.fixture
def project(workspace: Path) -> Path:
    """Return the workspace as a project in which two of its models were trained and evaluated."""
    training: dict[str, Any] = shell_stage("cat data > ${key}.w", "${key}.w", "data")
    evaluation: dict[str, Any] = shell_stage("cat ${key}.w > ${key}.m", "${key}.m", "${key}.w")
    exported: dict[str, Any] = shell_stage("echo > exported", "exported", "${export.model}.w")
    exported["meta"] = {"model": "${export.model}"}
    for stage in (training, evaluation):
        stage["meta"] = {"model": "${key}"}
    Path("data").write_text("1")
    change_params(workspace, {"models.conv_again": REMOVED, "models.conv_hot": REMOVED})
    write_project(
        train={"foreach": "${models}", "do": training},
        evaluate={"foreach": "${models}", "do": evaluation},
        export=exported,
    )
    process = start_command(*DVC, "repro", "--quiet")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return workspace


def read_locked_stages() -> set[str]:
    locked: dict[str, Any] = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    return set(locked)


def list_models(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of `mri-stages models`."""
    capsys.readouterr()
    models.main([])
    return capsys.readouterr().out.splitlines()


def test_remove_takes_the_results_of_the_model_and_nothing_else(project: Path) -> None:
    names = {path.name for path in list_files(project)}
    locked_stages = read_locked_stages()
    models.main(["remove", "small", "small", "--use", "conv"])

    gone = names - {path.name for path in list_files(project)}
    assert {name for name in gone if name.startswith("small")} == {"small.w", "small.m"}
    assert {"conv.w", "conv.m", "exported", "data", "dvc.yaml"}.isdisjoint(gone)
    assert locked_stages - read_locked_stages() == {"train@small", "evaluate@small"}
    assert list(read_params().models) == ["conv"]
    assert asyncio.run(find_result_states(["conv"])) == {"conv": ResultState.UP_TO_DATE}


def test_remove_again_after_a_kill_half_way(project: Path) -> None:
    Path("conv.w").unlink()  # The outs go before the locks, and params.yaml comes last.
    models.main(["remove", "conv", "--use", "small"])
    assert not Path("conv.m").exists()
    assert read_locked_stages() == {"train@small", "evaluate@small", "export"}
    assert list(load_params(project)["models"]) == ["small"]


def test_remove_of_a_model_that_is_named_changes_nothing(workspace: Path) -> None:
    files = {path: path.read_bytes() for path in list_files(workspace)}
    with pytest.raises(InputError, match=r"export\.model"):
        models.main(["remove", "small"])
    assert {path: path.read_bytes() for path in list_files(workspace)} == files


def test_remove_takes_names_behind_an_option() -> None:
    arguments = models.parse_arguments(["remove", "conv", "--use", "small", "conv_hot"])
    assert (arguments.name, arguments.use) == (["conv", "conv_hot"], "small")


def test_add_writes_the_model(workspace: Path) -> None:
    models.main(["add", "mine", "resnet", "lr=1e-3", "batch_size=4", "epochs=3"])
    assert read_params().models["mine"].arch == "resnet"
    assert load_params(workspace)["models"]["mine"]["lr"] == 0.001
    assert "mine" not in read_params().cross_validation.models


@pytest.mark.parametrize(
    "arguments",
    [
        "mine resnet lr=1e-3 batch_size=4 --cross-validate",
        "mine resnet --cross-validate lr=1e-3 batch_size=4",
        "--cross-validate mine resnet lr=1e-3 batch_size=4",
    ],
)
def test_add_to_the_cross_validation(workspace: Path, arguments: str) -> None:
    models.main(["add", *arguments.split()])
    assert read_params().models["mine"].batch_size == 4
    assert read_params().cross_validation.models["mine"] == "resnet"


def test_add_of_a_wrong_value_changes_nothing(workspace: Path) -> None:
    text = Path("params.yaml").read_bytes()
    with pytest.raises(InputError, match="batch_size is 0"):
        models.main(["add", "mine", "resnet", "lr=0.1", "batch_size=0"])
    assert Path("params.yaml").read_bytes() == text


def test_models_lists_all_in_a_table(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_raw(workspace / "data/raw", shape=(1, 9, 8))
    write_project(load=shell_stage("echo > x", "x"))
    name = "a" * 99
    arch = {"arch": "small_cnn", "lr": 0.1, "batch_size": 2}
    change_params(workspace, {f"models.{name}": arch, "models.second": arch})
    lines = list_models(capsys)

    rows = {line.split()[0]: line.split() for line in lines if line}
    # 3 x 3 convolutions to 32 and 64 channels, then linear layers: 64 x 2 x 2 to 128 to 3.
    n_parameters = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (256 * 128 + 128) + (128 * 3 + 3)
    assert rows["second"][1:] == ["small_cnn", "8", "x", "8", f"{n_parameters:,}", "none"]
    assert rows["conv"][1:] == ["conv_nn2", "36", "x", "36", "-", "none"]
    table = lines[: lines.index("")]
    assert len(table) == 1 + len(read_params().models)
    assert max(len(line) for line in table) <= MAX_COLUMNS


@pytest.mark.parametrize("has_images", [True, False])
def test_models_tells_a_broken_file_from_images_that_do_not_fit(
    has_images: bool,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if has_images:
        write_raw(workspace / "data/raw", shape=(3, 9, 8))
    write_project(load=shell_stage("echo > x", "x"))
    # The file takes the place of the project's own.
    (workspace / "archs").mkdir()
    (workspace / "archs/small_cnn.py").write_text("def make_network(:\n")
    own_folders = list(mri_stages.models.__path__)
    monkeypatch.setattr(mri_stages.models, "__path__", [str(workspace / "archs"), *own_folders])
    monkeypatch.delitem(sys.modules, "mri_stages.models.small_cnn", raising=False)
    recipe = {"arch": "small_cnn", "lr": 0.1, "batch_size": 2}
    change_params(workspace, {"models.broken": recipe})

    lines = list_models(capsys)
    (broken_row,) = [line for line in lines if line.startswith("broken ")]
    (conv_row,) = [line for line in lines if line.startswith("conv ")]
    assert RefusalKind.FILE.value in broken_row
    assert "36 x 36" in conv_row
    (warning,) = [line for line in lines if line.startswith("warning: ")]
    assert "SyntaxError" in warning


def test_models_weights_keeps_the_file_under_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MRI_STAGES_WEIGHTS", str(tmp_path / "store"))
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({"body.weight": torch.ones(2, 3)}))
    models.main(["weights", str(path)])

    (kept_path,) = (tmp_path / "store").iterdir()
    assert kept_path.name == hashlib.sha256(path.read_bytes()).hexdigest()
    assert kept_path.read_bytes() == path.read_bytes()
    output = capsys.readouterr().out
    assert "body.weight (2, 3) float32" in output
    assert yaml.safe_load(output[output.index("    weights:") :])["weights"] == {
        "file": str(path),
        "sha256": kept_path.name,
    }


@pytest.mark.parametrize("name", ["w.pt", "w.bin", "missing.pt"])
def test_models_weights_refuses_a_file_without_a_state_dict(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_STAGES_WEIGHTS", str(tmp_path / "store"))
    for file in ("w.pt", "w.bin"):
        (tmp_path / file).write_text("text")
    with pytest.raises(InputError, match=name):
        models.main(["weights", str(tmp_path / name)])
    assert not (tmp_path / "store").exists()


def test_models_names_architectures_without_a_model(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_raw(workspace / "data/raw", shape=(1, 9, 8))
    write_project(load=shell_stage("echo > x", "x"))
    (line,) = [text for text in list_models(capsys) if "models add" in text]
    assert "small_cnn (from 8 x 8" in line
    assert "conv_nn2" not in line
    models.main(["add", "mine", "small_cnn", "lr=0.1", "batch_size=2"])
    assert "small_cnn (" not in "".join(list_models(capsys))
