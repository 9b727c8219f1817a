"""Both pages, written from small files whose figures are known."""

import re
from base64 import b64encode
from html import unescape

import pytest
from stages import report
from stages.studies import report as studies_report

from mri_stages import paths
from mri_stages.config.schema import BASELINES
from mri_stages.storage.files import write_bytes, write_csv, write_json
from mri_stages.storage.records import Pair
from mri_stages.studies.leakage_dose import LeakageRun

pytestmark = pytest.mark.usefixtures("workspace")

MODELS = ("small", "conv", "conv_again", "conv_hot")  # of the params in tests/conftest.py
PICTURES = (
    *("new_subjects", "accuracy", "roc", "leakage"),
    *("history", "learning_rate", "sample"),
)
CLASSES = ("<Ill>", "Sane", "Unsure")


def table(page: str, caption: str) -> dict[str, list[str]]:
    """Return the table with `caption`: the cells of each row, by its first cell."""
    lines = page.split(f">{caption}")[1].split("</table>")[0].split("<tr>")[1:]
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", unescape(line)) for line in lines]
    return {first: rest for first, *rest in cells}


def test_report_shows_the_figures_of_the_files_and_their_pictures() -> None:
    counts = {"train": [5, 6, 7], "test": [3, 1, 0]}
    write_json(paths.INFO, {"image_shape": [3, 8, 9], "classes": CLASSES, "counts": counts})
    for place, name in enumerate((*MODELS, *BASELINES)):
        share = 0.5 + place / 100
        found = {"accuracy": share, "ci_low": share - 0.1, "ci_high": share + 0.1}
        found |= {"balanced_accuracy": 0.4, "macro_f1": 0.3, "auc": share + 0.2}
        of_model = {"loss": 1e-5, "diverged": False} if name in MODELS else {}
        write_json(paths.metrics(name), found | of_model | {"unscored_classes": "Unsure"})
        aucs = {"auc_low": share, "auc_high": share + 0.3, "by": "subject"}
        write_json(paths.new_subject_metrics(name), found | aucs)
    write_json(paths.new_subject_metrics("linear"), {})  # these data allow none
    shares = {"nearest_neighbour_given": 0.2, "nearest_neighbour_random": 0.25}
    write_json(paths.LEAKAGE, {"sentence": "<They leak.>", **shares})
    predicted = [("<Ill>", "<Ill>"), *[("<Ill>", "Sane")] * 3, ("Sane", "Unsure")]
    for name in MODELS:
        write_csv(paths.confusion(name), ("actual", "predicted"), predicted)
    pair = Pair("small", "conv", 3, 5, 0.25, "as good")
    write_csv(paths.PAIRS, Pair._fields, [pair])
    write_csv(paths.NEW_SUBJECT_PAIRS, Pair._fields, [pair._replace(b="majority")])
    for name in PICTURES:
        write_bytes(paths.PLOTS / f"{name}.png", name.encode())

    report.main()
    page = paths.REPORT.read_text()
    assert "<title>Made-up images: report</title>" in page
    new, given = re.findall(r'<p class="lead">(.*?)</p>', page)
    # Of small, majority and nearest_neighbour, the last has the highest AUC.
    expected = ["nearest_neighbour", "0.7500", "0.5500", "0.8500", "0.4000", "0.5", "0.4000"]
    assert re.findall(r"\d\.\d+|nearest_neighbour", new) == expected
    assert re.findall(r"\d\.\d+|conv_\w+", given) == ["conv_hot", "0.5300"]
    assert given.endswith("&lt;They leak.&gt;")
    assert "18 training and 4 test rows" in page
    assert "leave out Unsure." in page
    assert table(page, "Rows by class")["Sane"] == ["6", "1"]
    assert list(table(page, "Similarity").values())[1:] == [["0.2000"], ["0.2500"]]
    scores = table(page, "Given split")
    assert list(scores) == ["", *MODELS, *BASELINES[:2]]
    assert scores["conv"] == [
        *("0.5100", "0.4100", "0.6100", "0.4000", "0.3000", "0.7100", "1.0e-05", "no")
    ]
    assert list(table(page, "Cross-validation")) == ["", "small", *BASELINES[:2]]
    assert table(page, "Pairs: subjects")["small"][0] == "majority"
    of_models = table(page, "Pairs of models")["small"]
    assert of_models == ["conv", "3", "5", "0.2500", "as good"]
    ill, sane, unsure = (table(page, "conv: test rows")[name] for name in CLASSES)
    assert (ill, sane) == (["1", "3", "0", "0.2500"], ["0", "0", "1", "0.0000"])
    assert unsure == ["0", "0", "0", "-"]
    assert "--share: 0.75" in page
    assert paths.PARAMS.read_text() in unescape(page)
    data = [b64encode(name.encode()).decode() for name in PICTURES]
    assert re.findall(r'<img src="data:image/png;base64,(.*?)"', page) == data
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # one file

    # Now no two models differ only in the learning rate.
    text = paths.PARAMS.read_text().replace("lr: 1e30\n", "lr: 0.01\n")
    paths.PARAMS.write_text(text)
    report.main()
    page = paths.REPORT.read_text()
    assert b64encode(b"learning_rate").decode() not in page


def test_studies_report_shows_the_figures_of_the_files_and_links_pictures() -> None:
    rows = [
        (study, value, measure, *figures)
        for study, measures in studies_report.MEASURES.items()
        for value, figures in {"1": (0.5, 0.12, 2, 1, 0), "9": ("", "", 2, 2, 2)}.items()
        for measure in measures
    ]
    columns = ("study", "value", "measure", "mean", "sd", "runs", "without", "diverged")
    write_csv(paths.STUDY_SUMMARY, columns, rows)
    figures = {"by_value": {"0.1": {"mean": 0.0, "sd": 0.5, "of": 2}}, "p": "< 1e-6"}
    claim = {"question": "Q1", "claim": "A", "rule": "R", "figures": figures, "verdict": "holds"}
    other = {"question": "Q2", "claim": "B", "verdict": "not decided here", "would_decide": "W"}
    write_json(paths.CLAIMS, {"claims": [claim, claim | other, claim | other | {"claim": "C"}]})
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace("[conv]", "[small, conv]"))
    doses = paths.study_runs("leakage", "permuted")
    write_csv(doses, LeakageRun._fields, [("small", 0, 100, "True", *[9] * 2, *[0.5] * 5)])
    studies_report.main()
    page = paths.STUDY_REPORT.read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert re.findall(r"\d+", page.split('class="lead">')[1].split("</p>")[0]) == list("3102")
    for caption, n in (("Models over seeds", 6), ("small by batch size, learning rate in", 9)):
        found = table(page, caption)
        assert found["1"] == ["0.5 ± 0.12 (1 without)"] * n + ["0"]
        assert found["9"] == ["-"] * n + ["2"]
    first, second = (table(part, "The notebook") for part in page.split('<h2 id="batch-size">'))
    assert first["A"] == ["holds", "R", "by value: (0.1: 0 ± 0.5); p: < 1e-6"]
    assert list(second) == ["claim", "B", "C"]
    assert second["B"][1] == "R. Would decide: W"
    links = [f"plots/{name}.png" for name in ("leakage", "learning_rate", "batch_size")]
    assert re.findall(r'src="(.*?)"', page) == links
    write_csv(doses, LeakageRun._fields, [])  # without subject ids
    studies_report.main()
    assert re.findall(r'src="(.*?)"', paths.STUDY_REPORT.read_text()) == links[1:]
