"""What runs again, what is restored, and what DVC then shows."""

import csv
import json
import re
from typing import Any, NamedTuple

import pytest
import vl_convert
import yaml

from tests.helpers.clones import Clone
from tests.helpers.pipeline_params import PIPELINE_PARAMS
from tests.helpers.project import REPO

pytestmark = pytest.mark.slow

MODELS = list(PIPELINE_PARAMS["models"])
CROSS_VALIDATED = list(PIPELINE_PARAMS["cross_validation"]["models"])
STAGES = [
    *("sample", "load", "plot_sample", "assign_folds", "neighbours", "leakage", "baselines"),
    *("scale", "combine", "groups", "failures", "compare", "sheet", "export@model", "report"),
    *(f"train@{name}" for name in MODELS),
    *(f"evaluate@{name}" for name in MODELS),
    *(f"cross_validate@{name}" for name in CROSS_VALIDATED),
    *(f"summarise@{name}" for name in CROSS_VALIDATED),
    *(f"probe@{name}" for name in CROSS_VALIDATED),
]
WEIGHTS = "models/conv_nn2.safetensors"
PICTURES = (
    *("new_subjects", "calibration", "decisions", "roc", "failures", "robustness"),
    *("accuracy", "leakage", "learning_rate", "history", "flow", "sample"),
)
RESULTS_COMMAND = ("python", "-m", "mri_stages", "results")
ARCHITECTURE = """\
from math import prod

from torch import nn


def make_network(shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), n_classes))
"""


class Retraining(NamedTuple):
    """A clone after `dvc repro` with another learning rate of one model, not committed."""

    clone: Clone
    stages: list[str]  # that `dvc repro` ran
    results_before: str  # what `mri-stages results` printed between change and repro


@pytest.fixture(scope="module")
def retraining(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Retraining:
    clone = finished.copy(tmp_path_factory.mktemp("retrained") / "clone")
    # As README has it.
    clone.shell(r"sed -i.bak '/^  conv_nn2:/,/lr:/s/lr: 0.01/lr: 0.001/' params.yaml")
    results_before = clone.run(*RESULTS_COMMAND)
    return Retraining(clone, clone.repro(), results_before)


def read_charts(output: str) -> dict[str, Any]:
    """Return the charts by name; a line before them may say that no study has run."""
    charts: dict[str, Any] = json.loads(output.splitlines()[-1])["data"]
    return charts


def test_repro_runs_every_stage_in_a_new_clone(finished: Clone) -> None:
    assert sorted(finished.cold_run) == sorted(STAGES)


def test_repro_runs_nothing_the_second_time(clone: Clone) -> None:
    assert clone.repro() == []
    assert clone.run("git", "status", "--short") == ""


def test_repro_of_a_changed_model_trains_it_alone(finished: Clone, retraining: Retraining) -> None:
    expected = {"train@conv_nn2", "evaluate@conv_nn2", "compare", "sheet", "report"}
    assert set(retraining.stages) == expected
    assert retraining.stages[-1] == "report"
    weights = (retraining.clone.folder / WEIGHTS).read_bytes()
    assert weights != (finished.folder / WEIGHTS).read_bytes()


def test_results_names_repro_while_results_are_old(retraining: Retraining) -> None:
    assert "mri-stages repro" in retraining.results_before
    assert "mri-stages repro" not in retraining.clone.run(*RESULTS_COMMAND)


def test_params_diff_names_the_changed_key(retraining: Retraining) -> None:
    changes = json.loads(retraining.clone.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert list(changes) == ["models.conv_nn2.lr"]


def test_metrics_diff_names_the_changed_model(retraining: Retraining) -> None:
    metrics = json.loads(retraining.clone.run("dvc", "metrics", "diff", "--json"))
    assert list(metrics) == ["metrics/conv_nn2.json"]


def test_plots_diff_draws_both_revisions(retraining: Retraining) -> None:
    charts = read_charts(retraining.clone.run("dvc", "plots", "diff", "--json", "HEAD"))
    revisions = {name for chart in charts["plots/history.csv"] for name in chart["revisions"]}
    assert revisions == {"HEAD", "workspace"}


def test_repro_of_a_model_set_back_runs_nothing(retraining: Retraining, clone: Clone) -> None:
    weights = (clone.folder / WEIGHTS).read_bytes()
    changed = retraining.clone.copy(clone.folder.with_name("changed"))
    changed.change_params({"models.conv_nn2.lr": 0.01})
    assert changed.repro() == []  # all of it comes from the run cache
    assert (changed.folder / WEIGHTS).read_bytes() == weights
    assert changed.run("git", "status", "--short") == ""


def test_a_new_architecture_makes_its_own_stages_stale(clone: Clone) -> None:
    (clone.folder / "src/mri_stages/models/my_net.py").write_text(ARCHITECTURE)
    clone.change_params({"models.new_model": {"arch": "my_net", "lr": 0.1, "batch_size": 5}})

    status = json.loads(clone.run("dvc", "status", "--json"))
    stale_stages = {stage for stage in status if not stage.startswith("studies/")}
    own_stages = {"train@new_model", "evaluate@new_model"}
    assert stale_stages == own_stages | {"compare", "sheet", "report"}

    assert sorted(clone.repro()) == sorted(stale_stages)
    assert "metrics/new_model.json" in clone.run("dvc", "metrics", "show")
    with (clone.folder / "plots/history.csv").open() as file:
        models = {row["model"] for row in csv.DictReader(file)}
    assert models == {*MODELS, "new_model"}


@pytest.mark.parametrize("chart", ["plots/history.csv", "Training accuracy of all models"])
def test_plots_show_draws_all_models_in_one_chart(finished: Clone, chart: str) -> None:
    charts = read_charts(finished.run("dvc", "plots", "show", "--json"))
    svg = vl_convert.vegalite_to_svg(charts[chart][0]["content"])
    assert [name for name in MODELS if name not in svg] == []


def test_plots_show_names_the_classes_of_a_roc(finished: Clone) -> None:
    charts = read_charts(finished.run("dvc", "plots", "show", "--json"))
    svg = vl_convert.vegalite_to_svg(charts["plots/roc/conv_nn2.csv"][0]["content"])
    assert "NonDemented" in svg


def test_plots_show_has_every_picture_and_table(finished: Clone) -> None:
    charts = read_charts(finished.run("dvc", "plots", "show", "--json"))
    expected = {f"plots/{picture}.png" for picture in PICTURES}
    for name in MODELS:
        expected |= {f"plots/confusion/{name}.csv", f"plots/roc/{name}.csv"}
    assert expected - charts.keys() == set()


def test_lines_of_docs_notebook_run(finished: Clone) -> None:
    text = (REPO / "docs/notebook.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code += '\nassert abs(accuracy - metrics.loc["simple_nn2", "accuracy"]) < 1e-9'
    code += '\nassert set(history["model"]) == set(recipes.index) == set(params.models)\n'
    finished.run("python", "-c", code)


def list_main_stages(status: dict[str, Any]) -> set[str]:
    """Return the stages of dvc.yaml, without those of the studies, that DVC would run again."""
    return {stage for stage in status if not stage.startswith("studies/")}


def test_status_after_an_upgrade_of_torch(clone: Clone) -> None:
    path = clone.folder / "environment.yaml"
    versions = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(versions | {"torch": "9.9.9"}, default_style='"'))

    changes = json.loads(clone.run("dvc", "params", "diff", "--json"))
    assert list(changes["environment.yaml"]) == ["torch"]
    stale = list_main_stages(json.loads(clone.run("dvc", "status", "--json")))
    assert {f"train@{name}" for name in MODELS} <= stale
    assert "plot_sample" not in stale


def test_status_after_a_reworded_docstring_of_the_schema(clone: Clone) -> None:
    path = clone.folder / "src/mri_stages/config/schema.py"
    path.write_text(path.read_text() + "\n# A comment.\n")
    assert json.loads(clone.run("dvc", "status", "--json", "dvc.yaml")) == {}
