"""The report, written from small files whose figures are known."""

import re
from base64 import b64encode
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from mri_stages import paths
from mri_stages.config.schema import BASELINES
from mri_stages.reporting.report import build_confusion_table
from mri_stages.storage.files import read_json, write_bytes, write_json
from mri_stages.storage.records import (
    ConfusionRow,
    Leakage,
    Metrics,
    Pair,
    RowCopy,
    read_leakage,
    write_confusion,
    write_leakage,
    write_metrics,
    write_pairs,
)
from stages import report
from tests.helpers.params import DEFAULT_PARAMS, change_params

pytestmark = pytest.mark.usefixtures("workspace")

MODELS = tuple(DEFAULT_PARAMS["models"])
PICTURES = (
    *("new_subjects", "accuracy", "roc", "leakage"),
    *("history", "learning_rate", "sample"),
)
CLASSES = ("<Ill>", "Sane", "Unsure")


def table(page: str, caption: str) -> dict[str, list[str]]:
    """Return the table with `caption`: the cells of each row, by its first cell, without breaks."""
    text = page.split(f">{caption}")[1].split("</table>")[0].replace("<wbr>", "")
    lines = text.split("<tr>")[1:]
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", unescape(line)) for line in lines]
    return {first: rest for first, *rest in cells}


@pytest.fixture
def page(workspace: Path) -> str:
    """The report of small files whose figures are known."""
    write_report_inputs()
    report.main()
    return paths.REPORT.read_text()


def write_report_inputs() -> None:
    counts = {"train": [5, 6, 7], "test": [3, 1, 0]}
    write_json(paths.INFO, {"image_shape": [3, 8, 9], "classes": CLASSES, "counts": counts})
    for place, name in enumerate((*MODELS, *BASELINES)):
        write_metrics_of(name, 0.5 + place / 100)
    write_metrics(paths.new_subject_metrics("linear"), None)  # these data allow none

    write_leakage(
        Leakage(sentence="<They leak.>", nearest_neighbour_given=0.2, nearest_neighbour_random=0.25)
    )
    predictions = [ConfusionRow("<Ill>", "<Ill>"), ConfusionRow("Sane", "Unsure")]
    predictions += [ConfusionRow("<Ill>", "Sane")] * 3
    for name in MODELS:
        write_confusion(name, predictions)
    pair = Pair("small", "conv", 3, 5, 0.25, "as good")
    write_pairs(paths.PAIRS, [pair])
    write_pairs(paths.NEW_SUBJECT_PAIRS, [pair._replace(b="majority")])
    for name in PICTURES:
        write_bytes(paths.PLOTS / f"{name}.png", name.encode())


def write_metrics_of(name: str, accuracy: float) -> None:
    """Write the metrics of a model or baseline on the given split and on new subjects."""
    metrics = Metrics(
        accuracy=accuracy,
        ci_low=accuracy - 0.1,
        ci_high=accuracy + 0.1,
        balanced_accuracy=0.4,
        macro_f1=0.3,
        auc=accuracy + 0.2,
    )
    given: dict[str, Any] = {"unscored_classes": "Unsure"}
    if name in MODELS:
        given |= {"loss": 1e-5, "diverged": False}
    write_metrics(paths.metrics(name), metrics.model_copy(update=given))
    new = {"auc_low": accuracy, "auc_high": accuracy + 0.3, "by": "subject"}
    write_metrics(paths.new_subject_metrics(name), metrics.model_copy(update=new))


def list_leads(page: str) -> list[str]:
    return re.findall(r'<p class="lead">(.*?)</p>', page)


def test_report_names_the_data(page: str) -> None:
    assert "<title>Made-up images: report</title>" in page


def test_report_leads_with_the_highest_auc_on_new_subjects(page: str) -> None:
    # Of small, majority and nearest_neighbour, the last has the highest AUC.
    new, _ = list_leads(page)
    expected = ["nearest_neighbour", "0.7500", "0.5500", "0.8500", "0.4000", "0.5", "0.4000"]
    assert re.findall(r"\d\.\d+|nearest_neighbour", new) == expected


def test_report_leads_with_the_best_model_on_the_given_split(page: str) -> None:
    _, given = list_leads(page)
    assert re.findall(r"\d\.\d+|conv_\w+", given) == ["conv_hot", "0.5300"]


def test_report_leads_with_the_leakage_in_escaped_text(page: str) -> None:
    _, given = list_leads(page)
    assert given.endswith("&lt;They leak.&gt;")


def test_report_without_copies_has_no_warning(page: str) -> None:
    assert '<p class="warning">' not in page


def test_report_warns_of_copies_above_its_first_sentence(workspace: Path) -> None:
    write_report_inputs()
    copies = [RowCopy(test="<b>.png", train="a.png")]
    update = {"warning": "<2 copies>", "copied_test_rows": 1, "copies": copies}
    write_leakage(read_leakage().model_copy(update=update))
    report.main()
    page = paths.REPORT.read_text()
    warning = page.index('<p class="warning">Warning: &lt;2 copies&gt;')
    assert warning < page.index('<p class="lead">')
    assert table(page, "Exact copies")["<b>.png"] == ["a.png"]
    assert table(page, "Similarity")["test rows that are exact copies of a training row"] == [
        "0.2500"
    ]


def test_report_counts_the_rows(page: str) -> None:
    assert "18 training and 4 test rows" in page
    assert table(page, "Rows by class")["Sane"] == ["6", "1"]


def test_report_names_the_classes_left_out(page: str) -> None:
    assert "leave out Unsure." in page


def test_report_shows_the_known_shares_of_leakage(page: str) -> None:
    assert list(table(page, "Similarity").values())[1:] == [["0.2000"], ["0.2500"]]


def test_report_shows_the_metrics_on_the_given_split(page: str) -> None:
    scores = table(page, "Given split")
    assert list(scores) == ["", *MODELS, *BASELINES[:2]]
    figures = ["0.5100", "0.4100", "0.6100", "0.4000", "0.3000", "0.7100", "1.0e-05", "no"]
    assert scores["conv"] == figures


def test_report_shows_the_metrics_on_new_subjects(page: str) -> None:
    scores = table(page, "Cross-validation")
    assert list(scores) == ["", "small", *BASELINES[:2]]
    assert scores[""][-2:] == ["auc_low", "auc_high"]  # no column of the loss, which none has


def test_report_lets_long_names_of_columns_break(page: str) -> None:
    assert ">balanced_<wbr>accuracy</th>" in page


def test_report_escapes_the_names_of_columns(page: str) -> None:
    assert ">&lt;Ill&gt;</th>" in page
    assert "<Ill>" not in page


def test_report_shows_the_pairs_of_both_questions(page: str) -> None:
    assert table(page, "Pairs: subjects")["small"][0] == "majority"
    assert table(page, "Pairs of models")["small"] == ["conv", "3", "5", "0.2500", "as good"]


def test_report_shows_the_confusion_of_each_class(page: str) -> None:
    rows = table(page, "conv: test rows")
    assert rows["<Ill>"] == ["1", "3", "0", "0.2500"]
    assert rows["Sane"] == ["0", "0", "1", "0.0000"]
    assert rows["Unsure"] == ["0", "0", "0", "-"]


def test_report_shades_a_cell_by_its_share_of_the_row(page: str) -> None:
    assert "--share: 0.75" in page


def test_report_of_many_classes_names_the_most_frequent_mistake() -> None:
    classes = [f"class {label}" for label in range(30)]
    rows = [ConfusionRow("class 3", name) for name in ("class 3", "class 5", "class 5", "class 7")]
    table_of_class = build_confusion_table(rows, classes)
    assert table_of_class.rows[3] == ("class 3", 4, 0.25, "class 5", 2)
    assert table_of_class.rows[4] == ("class 4", 0, None, "", None)


def test_report_says_that_pictures_number_the_classes(page: str) -> None:
    assert "class 1 is the first" not in page
    info = read_json(paths.INFO, dict)
    write_json(paths.INFO, info | {"classes": ["轻度", "Sane", "Unsure"]})
    for name in MODELS:
        write_confusion(name, [ConfusionRow("Sane", "轻度")])
    report.main()
    assert "class 1 is the first" in paths.REPORT.read_text(encoding="utf-8")


def test_report_shows_the_params(page: str) -> None:
    assert paths.PARAMS.read_text() in unescape(page)


def test_report_embeds_its_pictures(page: str) -> None:
    data = [b64encode(name.encode()).decode() for name in PICTURES]
    assert re.findall(r'<img src="data:image/png;base64,(.*?)"', page) == data


def test_report_is_one_file(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<style>" in page


def test_report_without_a_group_of_learning_rates_has_no_picture(workspace: Path) -> None:
    change_params(workspace, {"models.conv_hot.lr": 0.01})
    write_report_inputs()
    report.main()
    assert b64encode(b"learning_rate").decode() not in paths.REPORT.read_text()


def write_report_without(*models: str, new: bool = False) -> str:
    """Return the report where these models have no result, also on new subjects if `new`."""
    write_report_inputs()
    for name in models:
        paths.metrics(name).unlink()
        paths.confusion(name).unlink()
        if new:
            paths.new_subject_metrics(name).unlink()
    report.main()
    return paths.REPORT.read_text()


def test_report_lists_a_model_without_metrics_last() -> None:
    scores = table(write_report_without("small"), "Given split")
    assert list(scores) == ["", *MODELS[1:], *BASELINES[:2], "small"]
    assert scores["small"][:2] == ["no result", "-"]


def test_report_of_a_model_without_metrics_on_new_subjects() -> None:
    scores = table(write_report_without("small", new=True), "Cross-validation")
    assert list(scores) == ["", *BASELINES[:2], "small"]
    assert scores["small"][0] == "no result"


def test_report_leaves_a_model_without_metrics_out_of_its_lead() -> None:
    # The best one on the given split has no result; three models have.
    _, given = list_leads(write_report_without("conv_hot"))
    assert re.findall(r"conv_\w+|\d\.\d+|\d models", given) == ["conv_again", "3 models", "0.5200"]


def test_report_has_no_confusion_of_a_model_without_metrics() -> None:
    page = write_report_without("conv")
    assert "conv: test rows" not in page
    assert "conv_hot: test rows" in page


def test_report_without_any_model_still_has_the_baselines() -> None:
    page = write_report_without(*MODELS)
    _, given = list_leads(page)
    assert not re.search(r"\d", given)
    assert list(table(page, "Given split")) == ["", *BASELINES[:2], *MODELS]


def test_report_without_folds_says_so() -> None:
    write_report_inputs()
    for name in ("small", *BASELINES):
        write_metrics(paths.new_subject_metrics(name), None)
    report.main()
    page = paths.REPORT.read_text()
    new, _ = list_leads(page)
    assert "no folds are possible" in new
    assert "Cross-validation; auc" not in page
    assert b64encode(b"new_subjects").decode() not in page
