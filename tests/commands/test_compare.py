"""`mri-stages compare`."""

import json
from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.commands import compare
from mri_stages.commands.compare import MAX_SHOWN_PARAMS
from mri_stages.config.schema import RESERVED_NAMES
from mri_stages.errors import ArgumentError, InputError
from tests.helpers.locked_projects import (
    DAMAGED_LOCKS,
    FOLDS_HASH,
    METRICS,
    Params,
    commit,
    hash_text,
    lock_stage,
    save_experiment,
    score,
    start_project,
    write_params,
)

MAX_WIDTH = 100
OTHER_PARAMS = "not run with these params"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Make a project with committed results of two models; return its params."""
    monkeypatch.chdir(tmp_path)
    params = start_project("net", "same")
    score(params, "net")
    score(params, "same")
    commit()
    return params


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the lines that the comparison prints."""
    compare.main(arguments)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= MAX_WIDTH
    return lines


def find_cells(lines: list[str], label: str) -> list[str]:
    """Return the cells of the first row with this label."""
    row = next(line for line in lines if line.strip().startswith(f"{label}  "))
    return [cell.strip() for cell in row.split("  ") if cell.strip()]


def save_half(params: Params, is_scored: bool) -> None:
    """Save an experiment of another learning rate, whose stages ran or not."""
    params["models"]["net"]["lr"] = 0.5
    write_params(params)
    if is_scored:
        score(params, "net", METRICS | {"auc": 0.875, "auc_high": 1})
    save_experiment("half")


def test_comparison_shows_params_and_figures(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    save_half(project, is_scored=True)
    lines = run(capsys, "HEAD", "half")
    assert find_cells(lines, "models.net.lr") == ["models.net.lr", "0.1", "0.5"]
    expected = ["AUC", "0.500 (0.250 to 0.625)", "0.875 (0.250 to 1.000)"]
    assert find_cells(lines, "AUC") == expected


def test_comparison_only_names_a_model_that_is_the_same(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    save_half(project, is_scored=True)
    lines = run(capsys, "HEAD", "half")
    assert "same" not in lines
    assert any("same" in line.split() for line in lines)
    assert "same" in run(capsys, "HEAD", "half", "same")


def test_comparison_marks_what_did_not_run(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commit of such an experiment has the metrics of its parent."""
    save_half(project, is_scored=False)
    lines = run(capsys, "HEAD", "half")
    assert find_cells(lines, "AUC") == ["AUC", "0.500 (0.250 to 0.625)", OTHER_PARAMS]
    assert any("cross_validate@net" in line and "models.net.lr" in line for line in lines)


def test_comparison_marks_what_ran_in_neither(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files of metrics are equal, and figures of no params of these."""
    save_half(project, is_scored=False)
    project["models"]["net"]["lr"] = 0.25
    write_params(project)
    assert find_cells(run(capsys, "half", "workspace"), "AUC")[1:] == [OTHER_PARAMS] * 2


def test_comparison_marks_metrics_of_older_predictions(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_stage("cross_validate@net", {}, {"data/folds/net.csv": "0"})
    assert find_cells(run(capsys, "HEAD", "workspace"), "AUC")[2] == OTHER_PARAMS


def test_comparison_on_the_given_split_where_folds_did_not_run(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps({"accuracy": 0.5, "auc": 0.25})
    project["models"]["net"]["lr"] = 0.5
    write_params(project)
    paths.metrics("net").write_text(text)
    params = {"models.net": project["models"]["net"]}
    lock_stage("evaluate@net", {}, {paths.metrics("net").as_posix(): hash_text(text)}, params)
    lines = run(capsys, "HEAD", "workspace")
    given_lines = lines[[line.startswith("Given") for line in lines].index(True) :]
    assert find_cells(given_lines, "AUC") == ["AUC", "no result", "0.250"]


def test_comparison_names_what_older_metrics_lack(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    score(project, "net", {"accuracy": 0.75, "auc": 0.25})
    commit()
    lines = run(capsys, "HEAD~1", "HEAD")
    assert find_cells(lines, "scaled Brier score")[2] == "-"
    assert any(line.startswith("B:") and "brier_scaled" in line for line in lines)


def test_comparison_of_a_model_that_diverged(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    score(project, "net", {"accuracy": 0.5, "diverged": True})
    lines = run(capsys, "HEAD", "workspace")
    assert find_cells(lines, "AUC")[2] == "diverged"


def test_comparison_names_other_folds_and_code(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = {paths.ASSIGNMENT.as_posix(): "0"}
    lock_stage("assign_folds", {}, folds)
    score(project, "net", METRICS | {"auc": 0.25})
    recipe = {"models.net": project["models"]["net"], "train": project["train"]}
    code = {"src/other.py": "9"}
    predictions = {"data/folds/net.csv": hash_text(json.dumps(recipe))}
    lock_stage("cross_validate@net", folds | code, predictions, recipe)
    lines = run(capsys, "HEAD", "workspace")
    assert any(paths.ASSIGNMENT.as_posix() in line for line in lines)
    assert any("src/other.py" in line for line in lines)


def test_comparison_names_other_images(project: Params, capsys: pytest.CaptureFixture[str]) -> None:
    lock_stage("load", {}, {paths.FLAT.as_posix(): "1.dir"})
    commit()
    lock_stage("load", {}, {paths.FLAT.as_posix(): "2.dir"})
    score(project, "net", METRICS | {"auc": 0.25})
    lines = run(capsys, "HEAD", "workspace")
    assert any("other images" in line and paths.FLAT.as_posix() in line for line in lines)


@pytest.mark.parametrize("other_hash", [FOLDS_HASH, None])
def test_comparison_of_equal_or_unknown_folds_names_none(
    project: Params, capsys: pytest.CaptureFixture[str], other_hash: str | None
) -> None:
    """A revision whose dvc.lock lacks the stage says nothing about its folds."""
    save_half(project, is_scored=True)
    lock_stage("assign_folds", {}, {paths.ASSIGNMENT.as_posix(): other_hash} if other_hash else {})
    lines = run(capsys, "HEAD", "workspace")
    assert not any(line.startswith("A and B have other") for line in lines)


def test_comparison_of_three_classes_shows_their_scores(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"accuracy": 0.75, "auc": 0.5, "balanced_accuracy": 0.625}
    score(project, "net", metrics)
    commit()
    score(project, "net", metrics | {"accuracy": 0.875, "ci_low": 0.625, "ci_high": 1})
    lines = run(capsys, "HEAD", "workspace")
    assert find_cells(lines, "accuracy")[1:] == ["0.750", "0.875 (0.625 to 1.000)"]
    assert find_cells(lines, "balanced accuracy")[1:] == ["0.625", "0.625"]


def test_comparison_of_three_classes_with_a_model_that_diverged(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    score(project, "net", {"accuracy": 0.75})
    commit()
    score(project, "net", {"accuracy": 0.5, "diverged": True})
    lines = run(capsys, "HEAD", "workspace")
    assert find_cells(lines, "AUC")[1:] == ["-", "diverged"]


def test_comparison_of_long_values_is_narrow(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    project["models"]["m" * 60] = {"arch": "a" * 60, "lr": 0.1}
    write_params(project)
    assert any("…" in line for line in run(capsys, "HEAD", "workspace"))


@pytest.mark.parametrize("n_more", [0, 1])
def test_comparison_of_many_params_counts_those_that_are_not_shown(
    project: Params, capsys: pytest.CaptureFixture[str], n_more: int
) -> None:
    project["train"] |= {f"key_{number}": number for number in range(MAX_SHOWN_PARAMS + n_more)}
    write_params(project)
    lines = run(capsys, "HEAD", "workspace")
    assert sum(line.startswith("train.key_") for line in lines) == MAX_SHOWN_PARAMS
    counts = [line.split(":")[0] for line in lines if "dvc params diff" in line]
    assert counts == (["and 1 more"] if n_more else [])


def test_comparison_names_the_file_of_another_version(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.ENVIRONMENT.write_text('torch: "2.9"\n')
    lines = run(capsys, "HEAD", "workspace")
    assert find_cells(lines, "environment.yaml: torch")[1:] == ["(absent)", "2.9"]


def test_comparison_of_the_same_commit_says_so(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    short_hash = commit("again")[:7]
    lines = run(capsys, "HEAD", short_hash)
    assert any("same commit" in line for line in lines)
    assert any("net, same" in line for line in lines)


def test_comparison_of_an_unknown_model_is_refused(project: Params) -> None:
    with pytest.raises(InputError, match=r"nonsense.*net, same"):
        compare.main(["HEAD", "workspace", "nonsense"])


def test_comparison_with_itself_is_refused(project: Params) -> None:
    with pytest.raises(ArgumentError, match="HEAD"):
        compare.main(["HEAD", "HEAD"])


def test_comparison_leaves_models_out_that_neither_params_have(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    """Git still has their metrics. A model of one of the two params.yaml is compared."""
    for name in ("net", "same"):
        del project["models"][name]
        project["cross_validation"]["models"] = {"new": "small_cnn"}
        project["models"]["new"] = {"arch": "small_cnn", "lr": 0.1}
        write_params(project)
        commit()
    lines = run(capsys, "HEAD~1", "HEAD")
    assert "same" in lines
    (removed_line,) = [line for line in lines if "net" in line.split()]
    assert removed_line.startswith("Left out")
    with pytest.raises(InputError, match=r"^net: "):
        compare.main(["HEAD~1", "HEAD", "net"])


@pytest.mark.parametrize("name", RESERVED_NAMES)
def test_comparison_has_the_rows_that_are_no_model(
    project: Params, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """No params.yaml has them."""
    paths.new_subject_metrics(name).write_text(json.dumps(METRICS))
    assert name in run(capsys, "HEAD", "workspace")


@pytest.mark.parametrize("text", ["<<<<<<< HEAD", "[1]"])
def test_comparison_of_broken_metrics_is_refused(project: Params, text: str) -> None:
    paths.new_subject_metrics("net").write_text(text)
    with pytest.raises(InputError, match=r"workspace: metrics/cross_validation/net\.json"):
        compare.main(["HEAD", "workspace"])


@pytest.mark.parametrize("name", ["HEAD:params.yaml", "HEAD^{tree}", " "])
def test_comparison_with_what_is_no_commit_is_refused(project: Params, name: str) -> None:
    with pytest.raises(InputError, match="expected a branch"):
        compare.main(["HEAD", name])


DAMAGED_ENTRIES = (b"", b" [1]", b"\n  load:\n    outs: [x]", b"\n  load:\n    params: [x]")


@pytest.mark.parametrize(
    "content",
    [*DAMAGED_LOCKS.values(), *(b"schema: '2.0'\nstages:" + text for text in DAMAGED_ENTRIES)],
)
def test_comparison_with_a_damaged_lock_names_it(project: Params, content: bytes) -> None:
    Path("dvc.lock").write_bytes(content)
    with pytest.raises(InputError, match=r"(?s)dvc\.lock: .*git checkout HEAD dvc\.lock"):
        compare.main(["HEAD", "workspace"])
    commit()
    with pytest.raises(InputError, match=r"(?s)HEAD: dvc\.lock: .*another commit"):
        compare.main(["HEAD", "HEAD~1"])
