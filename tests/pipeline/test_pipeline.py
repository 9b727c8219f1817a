"""What runs again, what is restored, and what DVC then shows."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import vl_convert
from tests.pipeline.conftest import Clone

MODELS = ["simple_nn1", "simple_nn2", "conv_nn1", "conv_nn2", "conv_nn3", "conv_nn4", "resnet"]
CROSS_VALIDATED = ["simple_nn2", "resnet"]
STAGES = [
    *("sample", "load", "plot_sample", "baselines", "scale", "compare", "export", "report"),
    *(f"{stage}@{name}" for stage in ("train", "evaluate") for name in MODELS),
    *(f"{stage}@{name}" for stage in ("cross_validate", "summarise") for name in CROSS_VALIDATED),
]


def test_repro_cold_runs_every_stage_and_again_none(finished: Clone, clone: Clone) -> None:
    assert sorted(finished.cold_run) == sorted(STAGES)
    assert clone.repro() == []
    assert clone.run("git", "status", "--short") == ""


def test_repro_of_a_changed_model_trains_it_alone_and_set_back_nothing(clone: Clone) -> None:
    weights = clone.folder / "models/conv_nn2.safetensors"
    before = weights.read_bytes()
    clone.shell(r"sed -i.bak '/^  conv_nn2:/,/lr:/s/lr: 0.01/lr: 0.001/' params.yaml")  # as README
    assert "mri-stages repro" in clone.run("python", "-m", "mri_stages", "results")  # some are old
    assert clone.repro() == ["train@conv_nn2", "evaluate@conv_nn2", "compare", "report"]
    assert weights.read_bytes() != before
    assert "mri-stages repro" not in clone.run("python", "-m", "mri_stages", "results")

    changes = json.loads(clone.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert list(changes) == ["models.conv_nn2.lr"]
    metrics = json.loads(clone.run("dvc", "metrics", "diff", "--json"))
    assert list(metrics) == ["metrics/conv_nn2.json"]
    plots = charts(clone.run("dvc", "plots", "diff", "--json", "HEAD"))
    revisions = {revision for item in plots["plots/history.csv"] for revision in item["revisions"]}
    assert revisions == {"HEAD", "workspace"}

    clone.edit_model("conv_nn2", "lr: 0.001", "lr: 0.01")
    assert clone.repro() == []  # all of it from the run cache
    assert weights.read_bytes() == before
    assert clone.run("git", "status", "--short") == ""


def test_status_after_a_new_architecture_names_the_new_stages_only(clone: Clone) -> None:
    code = (
        "from math import prod\n\nfrom torch import nn\n\n\ndef make_network(shape, n_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), n_classes))\n"
    )
    (clone.folder / "src/mri_stages/models/my_net.py").write_text(code)
    new = "  a_new_arch:\n    arch: my_net\n    lr: 0.1\n    batch_size: 5\n"
    clone.edit("params.yaml", "\nevaluation:", f"{new}\nevaluation:")
    stale = json.loads(clone.run("dvc", "status", "--json"))
    main = {stage for stage in stale if not stage.startswith("studies/")}
    assert main == {"train@a_new_arch", "evaluate@a_new_arch", "compare", "export", "report"}

    assert sorted(clone.repro()) == sorted(main)
    assert "metrics/a_new_arch.json" in clone.run("dvc", "metrics", "show")
    with (clone.folder / "plots/history.csv").open() as history:
        assert {row["model"] for row in csv.DictReader(history)} == {*MODELS, "a_new_arch"}


def test_plots_show_draws_all_models_in_one_chart(finished: Clone) -> None:
    plots = charts(finished.run("dvc", "plots", "show", "--json"))
    for chart in ("plots/history.csv", "Training accuracy of all models"):
        svg = vl_convert.vegalite_to_svg(plots[chart][0]["content"])
        assert all(name in svg for name in MODELS)
    roc = vl_convert.vegalite_to_svg(plots["plots/roc/conv_nn2.csv"][0]["content"])
    assert "NonDemented" in roc
    files = [f"plots/{kind}/{name}.csv" for kind in ("confusion", "roc") for name in MODELS]
    pictures = (
        *("sample", "leakage", "accuracy", "learning_rate", "history", "new_subjects", "roc"),
    )
    assert {*files, *(f"plots/{picture}.png" for picture in pictures)} <= plots.keys()


def charts(output: str) -> dict[str, Any]:
    """Return the charts by name; a line before them may say that no study has run."""
    data: dict[str, Any] = json.loads(output.splitlines()[-1])["data"]
    return data


def test_the_lines_of_docs_notebook_run(repo: Path, finished: Clone) -> None:
    text = (repo / "docs/notebook.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code += '\nassert abs(accuracy - metrics.loc["simple_nn2", "accuracy"]) < 1e-9'
    code += '\nassert set(history["model"]) == set(recipes.index) == set(params.models)\n'
    finished.run("python", "-c", code)
