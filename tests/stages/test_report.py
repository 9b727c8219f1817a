"""The report, written from small files whose figures are known."""

import re
from base64 import b64decode
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from mri_stages import paths
from mri_stages.config.schema import BASELINES
from mri_stages.storage.failures import Failure, write_failures
from mri_stages.storage.files import read_json, write_bytes, write_json
from mri_stages.storage.groups import GroupResult, write_groups
from mri_stages.storage.records import (
    GIVEN_SPLIT_BASELINES,
    ConfusionCell,
    Difference,
    Leakage,
    Metrics,
    Pair,
    RobustnessRow,
    RowCopy,
    read_leakage,
    read_metrics,
    write_differences,
    write_leakage,
    write_metrics,
    write_new_subject_confusion,
    write_pairs,
    write_robustness,
)
from stages import report
from tests.helpers.params import DEFAULT_PARAMS, change_params

pytestmark = pytest.mark.usefixtures("workspace")

MODELS = tuple(DEFAULT_PARAMS["models"])
PICTURES = (
    *("new_subjects", "calibration", "decisions", "roc", "failures", "robustness"),
    *("accuracy", "leakage", "history", "learning_rate", "flow", "sample"),
)
NETWORK_FIGURES = {"brier_scaled": 0.25, "brier_scaled_low": 0.125, "brier_scaled_high": 0.375,
                   "net_benefit": 0.0625, "diverged": False}  # fmt: skip
POWER = {
    "by": "subject",
    "count": 20,
    "classes": [{"name": "Sane", "count": 20, "test_folds": 2, "scored": True, "note": ""}],
    "expected": [{"auc": 0.8, "low": 0.6, "high": 1.0, "difference_0": 0.1875}],
    "sentences": ["<20 subjects> show little."],
}
ROBUSTNESS = [
    RobustnessRow("unchanged", 0, None, 0.875, 0.75, 1.0, 20),
    RobustnessRow("noise", 0.02, "of the grey range", None, None, None, 20),
]
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
    for name in ("linear", "brightness", "kernel", "covariates"):  # these data allow none
        if name in BASELINES:
            write_metrics(paths.new_subject_metrics(name), None)

    write_leakage(
        Leakage(sentence="<They leak.>", nearest_neighbour_given=0.2, nearest_neighbour_random=0.25)
    )
    write_json(paths.POWER, POWER)
    cells = [ConfusionCell("<Ill>", "<Ill>", 1, 4), ConfusionCell("<Ill>", "Sane", 3, 4)]
    cells += [ConfusionCell("Sane", "Unsure", 1.5, 2)]
    for name in ("small", *BASELINES):
        write_new_subject_confusion(name, cells)
    write_pairs(paths.PAIRS, [Pair("small", "conv", 3, 5, 0.25)])
    write_differences(
        [Difference("small", "nearest_neighbour", -0.03125, -0.0625, 0.125, 0.375, 20)]
    )
    write_groups([])
    write_failures([Failure("small", 4, "<Ill>", "Sane", 0.875, 3, 0.75, "scan <3>.png")])
    write_robustness("small", ROBUSTNESS)
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
    new: dict[str, Any] = {"auc_low": accuracy, "auc_high": accuracy + 0.3, "by": "subject"}
    if name in MODELS:
        new |= NETWORK_FIGURES
    write_metrics(paths.new_subject_metrics(name), metrics.model_copy(update=new))


def find_headline(page: str) -> str:
    """Return the first sentence of the report."""
    (headline,) = re.findall(r'<p class="headline">(.*?)</p>', page)
    return unescape(headline)


def list_words(text: str) -> list[str]:
    """Return the names of models and the figures of a text, in order."""
    return re.findall(r"small|conv\w*|nearest_neighbour|majority|-?\d\.\d+", text)


def test_report_names_the_failures(page: str) -> None:
    rows = table(page, "The wrong answers with the highest probability")
    assert rows["small"] == ["4", "<Ill>", "Sane", "0.875", "scan <3>.png", "0.750"]


def test_report_without_groups_says_nothing_of_them(page: str) -> None:
    assert "looked at" not in page


def test_report_shows_the_groups(workspace: Path) -> None:
    write_report_inputs()
    write_groups([GroupResult("small", "sex", "F", 20, 7, 0.75, 0.5, 0.9375, p=0.25)])
    report.main()
    page = paths.REPORT.read_text()
    assert "looked at: 1, in 1 models" in page
    row = table(page, "Groups of new subjects, with")["small"]
    assert row[:3] == ["sex F", "20", "7"]
    assert "0.750" in row[3]
    assert row[-1] == "0.250"


def test_report_names_the_data(page: str) -> None:
    assert "<title>Made-up images: report</title>" in page


def test_report_leads_with_the_difference_from_the_best_baseline(page: str) -> None:
    expected = ["nearest_neighbour", "small", "-0.031", "-0.062", "0.125", "0.375"]
    assert list_words(find_headline(page)) == expected


def test_report_leads_with_the_leakage_in_escaped_text(page: str) -> None:
    assert page.index("&lt;They leak.&gt;") < page.index("<nav>")


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
    similarity = table(page, "Similarity")
    assert similarity["test rows that are exact copies of a training row"] == ["0.250"]


def test_report_says_what_each_baseline_does(page: str) -> None:
    (text,) = re.findall(r"<p>Baselines, which use no network: (.*?)</p>", page)
    assert re.findall(rf"{'|'.join(BASELINES)}", text) == list(GIVEN_SPLIT_BASELINES)
    assert "row average" not in text  # these tables have none


def test_report_says_the_share_of_positives(workspace: Path) -> None:
    write_report_inputs()
    metrics = read_metrics(paths.new_subject_metrics("majority"))
    assert metrics is not None
    # A share q has q - (1 - q) t / (1 - t), with t = 0.5 of 0.75: 0.5.
    update = {"net_benefit_all": 0.5}
    write_metrics(paths.new_subject_metrics("majority"), metrics.model_copy(update=update))
    report.main()
    assert "hold where 75% are positive" in paths.REPORT.read_text()


def test_report_counts_the_rows(page: str) -> None:
    assert "18 training and 4 test rows" in page
    assert table(page, "Rows by class")["Sane"] == ["6", "1"]


def test_report_names_the_classes_left_out(page: str) -> None:
    assert "leave out Unsure: no test rows." in page


def test_report_shows_the_known_shares_of_leakage(page: str) -> None:
    assert list(table(page, "Similarity").values())[1:] == [["0.200"], ["0.250"]]


def test_report_shows_the_metrics_on_the_given_split(page: str) -> None:
    scores = table(page, "Given split")
    assert list(scores) == ["", *MODELS, *GIVEN_SPLIT_BASELINES]
    accuracy = "0.510 <small>(0.410 to 0.610)</small>"
    assert scores["conv"] == ["0.710", "1.0e-05", "0.400", accuracy, "0.300"]


def test_report_shows_the_probabilities_of_new_subjects_first(page: str) -> None:
    scores = table(page, "Probabilities")
    assert list(scores) == ["", "small", *GIVEN_SPLIT_BASELINES]
    auc = "0.700 <small>(0.500 to 0.800)</small>"
    assert scores["small"] == [auc, "0.250 <small>(0.125 to 0.375)</small>"]
    assert scores["majority"][1] == "-"


def test_report_shows_accuracy_of_new_subjects_last(page: str) -> None:
    captions = re.findall(r'<p class="caption">(\w+)', page.split('id="failures"')[0])
    assert captions[:2] == ["Differences", "Probabilities"]
    assert captions[-1] == "Classes"
    assert table(page, "Classes")[""][-2:] == ["accuracy", "macro F1"]


def test_report_has_the_auc_of_changed_images(page: str) -> None:
    cells = table(page, "AUC on changed images")
    assert cells["images"] == ["small"]
    assert re.findall(r"\d\.\d+", cells["unchanged"][0]) == ["0.875", "0.750", "1.000"]
    assert cells["noise 0.02 of the grey range"] == ["-"]


def test_report_without_a_probed_network_says_so(workspace: Path) -> None:
    write_report_inputs()
    paths.new_subject_plot("robustness", "small").unlink()
    report.main()
    page = paths.REPORT.read_text()
    assert "robustness" not in list_shown_pictures(page)
    assert "none was probed" in page


def test_report_without_two_classes_has_no_pictures_of_them(workspace: Path) -> None:
    write_report_inputs()
    metrics = read_metrics(paths.new_subject_metrics("small"))
    assert metrics is not None
    nothing = dict.fromkeys(("brier_scaled", "net_benefit"))
    write_metrics(paths.new_subject_metrics("small"), metrics.model_copy(update=nothing))
    report.main()
    shown = list_shown_pictures(paths.REPORT.read_text())
    assert [name for name in PICTURES if name not in shown] == ["calibration", "decisions"]


def test_report_without_an_auc_shows_the_classes_once(workspace: Path) -> None:
    write_report_inputs()
    nothing = dict.fromkeys(("auc", "auc_low", "auc_high", "brier_scaled", "net_benefit"))
    for name in ("small", *BASELINES):
        metrics = read_metrics(paths.new_subject_metrics(name))
        if metrics is not None:
            write_metrics(paths.new_subject_metrics(name), metrics.model_copy(update=nothing))
    report.main()
    section = paths.REPORT.read_text().split('id="failures"')[0]
    assert re.findall(r'<p class="caption">(\w+)', section) == ["Differences", "Classes"]


def test_report_shows_what_the_data_can_show(page: str) -> None:
    assert "<p>&lt;20 subjects&gt; show little.</p>" in page
    expected = table(page, "To expect")
    assert expected["0.8 <small>(0.600 to 1.000)</small>"] == ["0.188", "-", "-"]


def test_report_warns_where_subjects_are_shared(workspace: Path) -> None:
    write_report_inputs()
    write_leakage(read_leakage().model_copy(update={"shared_subjects": 0.5}))
    report.main()
    section = paths.REPORT.read_text().split('id="given"')[1]
    assert '<p class="warning">50%' in section


def test_report_without_ids_has_no_warning_of_shared_subjects(page: str) -> None:
    assert '<p class="warning">' not in page.split('id="given"')[1]


def test_report_escapes_the_names_of_columns(page: str) -> None:
    assert ">&lt;Ill&gt;</th>" in page
    assert "<Ill>" not in page


def test_report_shows_the_pairs_of_both_questions(page: str) -> None:
    pair = ["nearest_neighbour", "-0.031 <small>(-0.062 to 0.125)</small>", "0.375"]
    assert table(page, "Differences")["small"] == pair
    matrix = table(page, "How many more")
    assert matrix["small"] == ["", "-2 <small>(p = 0.250)</small>"]


def test_report_shows_the_confusion_of_new_subjects(page: str) -> None:
    rows = table(page, "small: subjects")
    assert rows["<Ill>"] == ["1", "3", "0"]
    assert rows["Sane"] == ["0", "0", "1.5"]


def test_report_shows_the_classes_of_new_subjects(page: str) -> None:
    assert table(page, "small: classes")["<Ill>"] == ["4", "0.250", "1.000"]


def test_report_shows_the_classes_of_the_best_baseline(page: str) -> None:
    captions = re.findall(r'<p class="caption">(\w+): classes', page)
    assert captions == ["small", "nearest_neighbour"]


def test_report_shades_a_cell_by_its_share_of_the_row(page: str) -> None:
    assert "--share: 0.75" in page


def test_report_says_that_pictures_number_the_classes(page: str) -> None:
    assert "class 1 is the first" not in page
    info = read_json(paths.INFO, dict)
    write_json(paths.INFO, info | {"classes": ["轻度", "Sane", "Unsure"]})
    for name in ("small", *BASELINES):
        write_new_subject_confusion(name, [ConfusionCell("Sane", "轻度", 1, 1)])
    report.main()
    assert "class 1 is the first" in paths.REPORT.read_text(encoding="utf-8")


def test_report_shows_the_params(page: str) -> None:
    assert paths.PARAMS.read_text() in unescape(page)


def list_shown_pictures(page: str) -> list[str]:
    """Return the names of the pictures of a page, which are their content too."""
    data = re.findall(r'<img src="data:image/png;base64,(.*?)"', page)
    return [b64decode(text).decode() for text in data]


def test_report_embeds_its_pictures(page: str) -> None:
    assert list_shown_pictures(page) == list(PICTURES)


def test_report_is_one_file(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<style>" in page


def test_report_without_a_group_of_learning_rates_has_no_picture(workspace: Path) -> None:
    change_params(workspace, {"models.conv_hot.lr": 0.01})
    write_report_inputs()
    report.main()
    assert "learning_rate" not in list_shown_pictures(paths.REPORT.read_text())


def write_report_without(*models: str, new: bool = False) -> str:
    """Return the report where these models have no result, also on new subjects if `new`."""
    write_report_inputs()
    for name in models:
        paths.metrics(name).unlink()
        if new:
            paths.new_subject_metrics(name).unlink()
    report.main()
    return paths.REPORT.read_text()


def test_report_lists_a_model_without_metrics_last() -> None:
    scores = table(write_report_without("small"), "Given split")
    assert list(scores) == ["", *MODELS[1:], *GIVEN_SPLIT_BASELINES, "small"]
    assert scores["small"][:2] == ["no result", "-"]


def test_report_of_a_model_without_metrics_on_new_subjects() -> None:
    scores = table(write_report_without("small", new=True), "AUC: ")
    assert list(scores) == ["", *GIVEN_SPLIT_BASELINES, "small"]
    assert scores["small"][0] == "no result"


def test_report_without_the_only_network_still_has_the_baselines() -> None:
    page = write_report_without("small", new=True)
    assert list_words(find_headline(page)) == []
    assert "small: classes" not in page


def test_report_without_any_model_still_has_the_baselines() -> None:
    page = write_report_without(*MODELS)
    assert list(table(page, "Given split")) == ["", *GIVEN_SPLIT_BASELINES, *MODELS]


def test_report_without_folds_says_so() -> None:
    write_report_inputs()
    for name in ("small", *BASELINES):
        write_metrics(paths.new_subject_metrics(name), None)
    write_differences([])
    write_robustness("small", [])
    report.main()
    page = paths.REPORT.read_text()
    assert "no folds are possible" in find_headline(page)
    assert list_shown_pictures(page)[0] == "accuracy"
