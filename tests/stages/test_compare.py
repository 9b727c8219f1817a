import json
from pathlib import Path

import pytest

from src.cli import InputError
from src.params import read_params
from stages import compare

BASELINES = ("majority", "nearest_neighbour", "nearest_neighbour_random")
MODELS = ("small", "conv", "conv_again", "conv_hot")
EPOCHS = "epoch,train_loss,last_batch_loss,train_accuracy"


@pytest.fixture
def results(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of four models; each gets one of 14 rows more right than the one before."""
    monkeypatch.chdir(workspace)
    for folder in ("metrics", "plots/history", "plots/confusion"):
        Path(folder).mkdir(parents=True)
    Path("metrics/nearest_neighbour_subject.json").write_text("{}")
    metrics = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6, "diverged": False}
    for place, name in enumerate((*MODELS, *BASELINES, "a_model_of_old_params")):
        Path(f"metrics/{name}.json").write_text(json.dumps(metrics))
        history = f"{EPOCHS}\n0,{place},1.5,0.5\n1,nan,1.5,0.5\n"
        Path(f"plots/history/{name}.csv").write_text(history)
        rows = ["actual,predicted", *["a,a"] * (5 + place), *["a,b"] * (9 - place)]
        Path(f"plots/confusion/{name}.csv").write_text("\n".join(rows) + "\n")
    return workspace


def table(path: str) -> list[list[str]]:
    return [line.split(",") for line in Path(path).read_text().splitlines()][1:]


def test_compare_shows_the_models_of_params_and_no_other(results: Path) -> None:
    compare.main()
    assert table("plots/history.csv") == [
        [name, *epoch, "1.5", "0.5"]
        for place, name in enumerate(MODELS)
        for epoch in (("0", f"{place}.0"), ("1", "nan"))
    ]
    pairs = table("plots/pairs.csv")
    assert len(pairs) == 6
    assert pairs[2][:4] == ["small", "conv_hot", "0", "3"]
    before = {path.read_bytes() for path in Path("plots").glob("*.png")}
    assert len(before) == 3
    before_hot, after = Path("params.yaml").read_text().split("  conv_hot:")
    Path("params.yaml").write_text(before_hot + after[after.index("studies:") :])
    compare.main()
    assert {row[0] for row in table("plots/history.csv")} == set(MODELS[:3])
    assert not before & {path.read_bytes() for path in Path("plots").glob("*.png")}


def test_groups_by_lr_holds_models_that_differ_in_nothing_else(results: Path) -> None:
    text = Path("params.yaml").read_text().replace("batch_size: 5", "batch_size: 4")
    Path("params.yaml").write_text(text)  # now `small` differs from `conv` in its arch
    lrs = {"conv": 0.01, "conv_again": 0.01, "conv_hot": 1e30}
    assert compare.groups_by_lr(read_params()) == [lrs]
    hot = "lr: 1e30\n    batch_size: "
    for other in (f"epochs: 9\n    {hot}4", f"{hot}5"):
        Path("params.yaml").write_text(text.replace(f"{hot}4", other))
        assert compare.groups_by_lr(read_params()) == []


def test_read_correct_of_models_with_other_test_rows_names_both(results: Path) -> None:
    Path("plots/confusion/conv.csv").write_text("actual,predicted\n" + "a,a\n" * 13 + "b,b\n")
    with pytest.raises(InputError, match=r"/conv\.csv.* plots/confusion/small\.csv"):
        compare.read_correct(MODELS)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *(("metrics/small.json", "{}"), ("metrics/majority.json", "{}")),
        ("plots/history/conv.csv", f"{EPOCHS}\n0.5,1,1,1\n"),
        ("plots/confusion/conv.csv", "true,predicted\na,b\n"),
    ],
)
def test_compare_of_a_bad_input_names_it(results: Path, file: str, content: str) -> None:
    Path(file).write_text(content)
    before = {path for path in results.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=file):
        compare.main()
    assert {path for path in results.rglob("*") if path.is_file()} == before
