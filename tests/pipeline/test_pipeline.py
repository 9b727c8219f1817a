"""What runs again, what is restored, and what DVC then shows."""

import csv
import json
from typing import Any

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


def test_repro_of_a_changed_model_trains_it_alone_and_set_back_nothing(clone: Clone) -> None:
    weights = clone.folder / "models/conv_nn2.safetensors"
    before = weights.read_bytes()
    clone.edit_model("conv_nn2", "lr: 0.01", "lr: 0.02")
    assert clone.repro() == ["train@conv_nn2", "evaluate@conv_nn2", "compare", "report"]
    assert weights.read_bytes() != before

    changes = json.loads(clone.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert list(changes) == ["models.conv_nn2.lr"]
    metrics = json.loads(clone.run("dvc", "metrics", "diff", "--json"))
    assert list(metrics) == ["metrics/conv_nn2.json"]
    plots = charts(clone.run("dvc", "plots", "diff", "--json", "HEAD"))
    revisions = {revision for item in plots["plots/history.csv"] for revision in item["revisions"]}
    assert revisions == {"HEAD", "workspace"}

    clone.edit_model("conv_nn2", "lr: 0.02", "lr: 0.01")
    assert clone.repro() == []  # all of it from the run cache
    assert weights.read_bytes() == before
    assert clone.run("git", "status", "--short") == ""


def test_status_after_a_new_architecture_names_the_new_stages_only(clone: Clone) -> None:
    code = "from src.models.simple_nn2 import make_network as make_network\n"
    (clone.folder / "src/models/my_net.py").write_text(code)
    new = "  a_new_arch:\n    arch: my_net\n    lr: 0.1\n    batch_size: 5\n"
    clone.edit("params.yaml", "\nstudies:", f"{new}\nstudies:")
    stale = json.loads(clone.run("dvc", "status", "--json"))
    main = {stage for stage in stale if not stage.startswith("studies/")}
    assert main == {"train@a_new_arch", "evaluate@a_new_arch", "compare", "report"}

    assert sorted(clone.repro()) == sorted(main)
    assert "metrics/a_new_arch.json" in clone.run("dvc", "metrics", "show")
    with (clone.folder / "plots/history.csv").open() as history:
        assert {row["model"] for row in csv.DictReader(history)} == {*MODELS, "a_new_arch"}


def test_metrics_show_fits_a_terminal(finished: Clone) -> None:
    header, *rows = finished.run("dvc", "metrics", "show").splitlines()
    assert {"Path", "accuracy", "ci_low", "ci_high", "macro_f1", "loss"} <= {*header.split()}
    files = {f"metrics/{name}.json" for name in (*MODELS, *BASELINES)}
    assert {row.split()[0] for row in rows} == files
    # The last column lists class names, which so few subjects leave out of a mean.
    assert len(header.partition("unscored_classes")[0].rstrip()) <= 123


def test_plots_show_draws_all_models_in_one_chart(finished: Clone) -> None:
    plots = charts(finished.run("dvc", "plots", "show", "--json"))
    for chart in ("plots/history.csv", "Training accuracy of all models"):
        svg = vl_convert.vegalite_to_svg(plots[chart][0]["content"])
        assert all(name in svg for name in MODELS)
    files = [f"plots/confusion/{name}.csv" for name in MODELS]
    pictures = ("sample", "leakage", "accuracy", "learning_rate", "history")
    assert {*files, *(f"plots/{picture}.png" for picture in pictures)} <= plots.keys()


def charts(output: str) -> dict[str, Any]:
    """Return the charts by name; a line before them may say that no study has run."""
    data: dict[str, Any] = json.loads(output.splitlines()[-1])["data"]
    return data
