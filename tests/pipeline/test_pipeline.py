"""What runs again, what is restored, and what DVC then shows."""

import csv
import json
from typing import Any

import pytest
import vl_convert

from tests.pipeline.conftest import Clone

MODELS = ["simple_nn1", "simple_nn2", "conv_nn1", "conv_nn2", "conv_nn3", "conv_nn4"]
BASELINES = ["majority", *(f"nearest_neighbour{of}" for of in ("", "_random", "_subject"))]
STAGES = [
    *("sample", "load", "baselines", "scale", "compare", "report"),
    *(f"{stage}@{name}" for stage in ("train", "evaluate") for name in MODELS),
]


def test_repro_cold_runs_every_stage_and_again_none(finished: Clone, clone: Clone) -> None:
    assert sorted(finished.cold_run) == sorted(STAGES)
    assert clone.repro() == []
    assert clone.run("git", "status", "--short") == ""


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("conv_nn2", "lr: 0.01", "lr: 0.02"), ("simple_nn2", "batch_size: 15", "batch_size: 10")],
)
def test_repro_of_a_changed_model_trains_it_alone_and_set_back_trains_nothing(
    clone: Clone, name: str, old: str, new: str
) -> None:
    weights = clone.folder / f"models/{name}.safetensors"
    before = weights.read_bytes()
    clone.edit_model(name, old, new)
    assert clone.repro() == [f"train@{name}", f"evaluate@{name}", "compare", "report"]
    assert weights.read_bytes() != before

    key = old.split(":")[0]
    changes = json.loads(clone.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert list(changes) == [f"models.{name}.{key}"]
    (change,) = changes.values()
    assert [change["old"], change["new"]] == [float(text.split()[1]) for text in (old, new)]
    diff = json.loads(clone.run("dvc", "metrics", "diff", "--json"))
    assert list(diff) == [f"metrics/{name}.json"]
    plots = charts(clone.run("dvc", "plots", "diff", "--json", "HEAD"))
    revisions = {revision for item in plots["plots/history.csv"] for revision in item["revisions"]}
    assert revisions == {"HEAD", "workspace"}

    clone.edit_model(name, new, old)
    assert clone.repro() == []  # all of it from the run cache
    assert weights.read_bytes() == before
    assert clone.run("git", "status", "--short") == ""


def test_repro_after_a_change_to_pictures_and_metrics_trains_nothing(clone: Clone) -> None:
    for module in ("plotting/results", "plotting/slices", "evaluation/comparison"):
        with (clone.folder / f"src/{module}.py").open("a") as file:
            file.write("\n# changed\n")
    assert {stage.partition("@")[0] for stage in clone.repro()} & {"scale", "train"} == set()


def test_status_after_a_new_architecture_names_the_new_stages_only(
    clone: Clone,
) -> None:
    (clone.folder / "src/models/tiny.py").write_text(TINY)
    new = "  a_new_arch:\n    arch: tiny\n    lr: 0.1\n    batch_size: 5\n"
    clone.edit("params.yaml", "\nstudies:", f"{new}\nstudies:")
    stale = json.loads(clone.run("dvc", "status", "--json"))
    new_stages = {"train@a_new_arch", "evaluate@a_new_arch"}
    main = {stage for stage in stale if not stage.startswith("studies/")}
    assert main == {*new_stages, "compare", "report"}

    assert sorted(clone.repro()) == sorted(main)
    assert "metrics/a_new_arch.json" in clone.run("dvc", "metrics", "show")
    with (clone.folder / "plots/history.csv").open() as history:
        assert {row["model"] for row in csv.DictReader(history)} == {*MODELS, "a_new_arch"}


TINY = '''\
"""One linear layer on the mean of each channel."""

from torch import nn


def make_network(image_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(pool, nn.Flatten(), nn.Linear(image_shape[0], n_classes))
'''


def test_metrics_show_fits_a_terminal(finished: Clone) -> None:
    header, *rows = finished.run("dvc", "metrics", "show").splitlines()
    assert {"Path", "accuracy", "ci_low", "ci_high", "macro_f1", "loss"} <= {*header.split()}
    assert {row.split()[0] for row in rows} == {
        f"metrics/{name}.json" for name in (*MODELS, *BASELINES)
    }
    # The last column lists class names, which so few subjects leave out of a mean.
    assert len(header.partition("unscored_classes")[0].rstrip()) <= 123


def test_exp_run_in_the_workspace_and_in_a_temporary_one(clone: Clone) -> None:
    weights = clone.folder / "models/conv_nn2.safetensors"
    before = weights.read_bytes()
    output = clone.run("dvc", "exp", "run", "--temp", "-n", "aside", "-S", "models.conv_nn2.lr=0.1")
    assert "Running stage 'train@conv_nn2'" in output
    assert "Running stage 'train@conv_nn3'" not in output
    assert weights.read_bytes() == before
    clone.run("dvc", "exp", "run", "-n", "here", "-S", "models.conv_nn2.lr=0.001")
    assert "lr: 0.001" in (clone.folder / "params.yaml").read_text()
    assert weights.read_bytes() != before
    shown = csv.DictReader(clone.run("dvc", "exp", "show", "--csv").splitlines())
    lrs = {row["Experiment"]: row["models.conv_nn2.lr"] for row in shown}
    assert (lrs["aside"], lrs["here"]) == ("0.1", "0.001")


def test_exp_run_of_folds_by_subject_leaves_the_given_split(clone: Clone) -> None:
    clone.run(
        "dvc", "exp", "run", "--temp", "-n", "new-subjects",
        "-S", "data.split=subject", "-S", "data.fold=1", "-S", "data.folds=3", "baselines",
    )  # fmt: skip
    shown = {
        row["Experiment"] or row["rev"]: row
        for row in csv.DictReader(clone.run("dvc", "exp", "show", "--csv").splitlines())
    }
    accuracy = "metrics/nearest_neighbour.json:accuracy"
    assert shown["new-subjects"]["data.split"] == "subject"
    assert shown["new-subjects"][accuracy] != shown["workspace"][accuracy]


def test_plots_show_draws_all_models_in_one_chart(finished: Clone) -> None:
    plots = charts(finished.run("dvc", "plots", "show", "--json"))
    for name in MODELS:
        assert f"plots/confusion/{name}.csv" in plots
    for chart in ("plots/history.csv", "Training accuracy of all models"):
        content = plots[chart][0]["content"]
        spec = content if isinstance(content, str) else json.dumps(content)
        svg = vl_convert.vegalite_to_svg(spec)
        for name in MODELS:
            assert name in svg
    for picture in ("sample", "accuracy", "learning_rate", "history", "leakage"):
        assert f"plots/{picture}.png" in plots


def charts(output: str) -> dict[str, Any]:
    """Return the charts by name; a line before them may say that no study has run."""
    data: dict[str, Any] = json.loads(output.splitlines()[-1])["data"]
    return data
