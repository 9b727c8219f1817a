"""What runs again, what is restored, and what DVC then says."""

import csv
import json
from pathlib import Path

import pytest
import vl_convert

from tests.pipeline.conftest import Clone, new_clone

MODELS = ["simple_nn1", "simple_nn2", "conv_nn1", "conv_nn2", "conv_nn3", "conv_nn4"]
ALL_STAGES = [
    "sample",
    "load",
    "baselines",
    "scale",
    *(f"train@{name}" for name in MODELS),
    *(f"evaluate@{name}" for name in MODELS),
    "compare",
    "report",
]
BASELINES = ["majority", *(f"nearest_neighbour{of}" for of in ("", "_random", "_subject"))]
OUTS = [
    *(f"data/sample/{split}_{kind}.pt" for split in ("train", "test")
      for kind in ("data", "labels", "subjects")),
    *(f"data/flat/{kind}_{split}.npy" for split in ("train", "test")
      for kind in ("x", "y", "subjects")),
    "data/sample/classes.json", "data/flat/meta.json", "data/scaler.npz",
    "data/scaled/x_train.npy", "data/scaled/x_test.npy",
    *(f"models/{name}.safetensors" for name in MODELS),
    *(f"metrics/{name}.json" for name in (*MODELS, *BASELINES)),
    *(f"plots/{kind}/{name}.csv" for kind in ("history", "confusion") for name in MODELS),
    "plots/sample.png", "plots/accuracy.png", "plots/learning_rate.png", "plots/history.csv",
    "plots/history.png", "plots/neighbours.png", "plots/leakage.json", "plots/pairs.csv",
    "plots/report.html",
]  # fmt: skip


def test_a_cold_repro_makes_every_out_and_a_second_runs_nothing(
    finished: Clone, clone: Clone
) -> None:
    assert sorted(finished.cold_run) == sorted(ALL_STAGES)
    for out in OUTS:
        assert (finished.folder / out).is_file(), out
    assert clone.repro() == []
    assert clone.run("git", "status", "--short") == ""


def test_two_cold_runs_in_two_clones_give_the_same_bytes(
    repo: Path, finished: Clone, tmp_path: Path
) -> None:
    other = new_clone(repo, tmp_path / "another name")
    other.run("python", "train_all.py")  # several at once, in place of one after the other
    assert not [stage for stage in other.repro() if stage.startswith("train@")]
    for out in OUTS:
        same = (other.folder / out).read_bytes() == (finished.folder / out).read_bytes()
        assert same, out


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("conv_nn2", "lr: 0.01", "lr: 0.02"), ("simple_nn2", "batch_size: 15", "batch_size: 10")],
)
def test_a_changed_model_reruns_alone_and_setting_it_back_trains_nothing(
    clone: Clone, name: str, old: str, new: str
) -> None:
    before = (clone.folder / f"models/{name}.safetensors").read_bytes()
    clone.edit_model(name, old, new)
    assert clone.repro() == [f"train@{name}", f"evaluate@{name}", "compare", "report"]
    assert (clone.folder / f"models/{name}.safetensors").read_bytes() != before

    key = old.split(":")[0]
    changes = json.loads(clone.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert list(changes) == [f"models.{name}.{key}"]
    (change,) = changes.values()
    assert [change["old"], change["new"]] == [float(text.split()[1]) for text in (old, new)]
    diff = json.loads(clone.run("dvc", "metrics", "diff", "--json"))
    assert list(diff) == [f"metrics/{name}.json"]
    plots = json.loads(clone.run("dvc", "plots", "diff", "--json", "HEAD"))["data"]
    revisions = {revision for item in plots["plots/history.csv"] for revision in item["revisions"]}
    assert revisions == {"HEAD", "workspace"}

    clone.edit_model(name, new, old)
    assert clone.repro() == []  # all of it from the run cache
    assert (clone.folder / f"models/{name}.safetensors").read_bytes() == before
    assert clone.run("git", "status", "--short") == ""


def test_a_change_to_a_picture_retrains_nothing(clone: Clone) -> None:
    clone.edit("src/result_figures.py", "Accuracy of models and", "Accuracies of models and")
    clone.edit("src/slice_figure.py", "Training slices", "Slices of the training set")
    assert sorted(clone.repro()) == ["compare", "load", "report"]


def test_a_seventh_model_is_six_lines_and_trains_alone(clone: Clone) -> None:
    new = "  conv_nn5:\n    arch: ConvNN2\n    lr: 0.1\n    batch_size: 5\n"
    clone.edit("params.yaml", "\nstudies:", f"{new}\nstudies:")
    ran = clone.repro()
    assert sorted(ran) == ["compare", "evaluate@conv_nn5", "report", "train@conv_nn5"]
    assert "metrics/conv_nn5.json" in clone.run("dvc", "metrics", "show")
    with (clone.folder / "plots/history.csv").open() as history:
        assert {row["model"] for row in csv.DictReader(history)} == {*MODELS, "conv_nn5"}


def test_metrics_show_fits_a_terminal(finished: Clone) -> None:
    table = finished.run("dvc", "metrics", "show").splitlines()
    header = table[0].split()
    assert header[0] == "Path"
    assert set(header[1:]) == {
        "accuracy", "low", "high", "balanced", "macro_f1", "loss", "diverged",
    }  # fmt: skip
    paths = {f"metrics/{name}.json" for name in (*MODELS, *BASELINES)}
    assert {line.split()[0] for line in table[1:]} == paths
    assert max(len(line.rstrip()) for line in table) <= 111


def test_experiments_in_the_workspace_and_in_a_temporary_one(clone: Clone) -> None:
    before = (clone.folder / "models/conv_nn2.safetensors").read_bytes()
    said = clone.run("dvc", "exp", "run", "--temp", "-n", "aside", "-S", "models.conv_nn2.lr=0.1")
    assert "train@conv_nn2" in said
    assert "train@conv_nn3" not in said.replace("Stage 'train@conv_nn3' didn't change", "")
    assert (clone.folder / "models/conv_nn2.safetensors").read_bytes() == before
    clone.run("dvc", "exp", "run", "-n", "here", "-S", "models.conv_nn2.lr=0.001")
    assert "lr: 0.001" in (clone.folder / "params.yaml").read_text()
    assert (clone.folder / "models/conv_nn2.safetensors").read_bytes() != before
    shown = csv.DictReader(clone.run("dvc", "exp", "show", "--csv").splitlines())
    lrs = {row["Experiment"]: row["models.conv_nn2.lr"] for row in shown}
    assert (lrs["aside"], lrs["here"]) == ("0.1", "0.001")


def test_plots_show_draws_all_models_in_one_chart(finished: Clone) -> None:
    plots = json.loads(finished.run("dvc", "plots", "show", "--json"))["data"]
    for name in MODELS:
        assert f"plots/confusion/{name}.csv" in plots
    for chart in ("plots/history.csv", "Training accuracy of all models"):
        spec = (
            json.loads(plots[chart][0]["content"])
            if isinstance(plots[chart][0]["content"], str)
            else plots[chart][0]["content"]
        )
        svg = vl_convert.vegalite_to_svg(json.dumps(spec))
        for name in MODELS:
            assert name in svg
    for picture in ("plots/sample.png", "plots/accuracy.png", "plots/learning_rate.png",
                    "plots/neighbours.png", "plots/history.png"):  # fmt: skip
        assert picture in plots


def test_folds_by_subject_are_an_experiment_beside_the_given_split(clone: Clone) -> None:
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
