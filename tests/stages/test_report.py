"""The page of the report, written from small files whose figures are known."""

import re
from base64 import b64encode
from html import unescape

import pytest
from stages import report

from mri_stages import paths
from mri_stages.config.schema import BASELINES
from mri_stages.storage.files import write_bytes, write_csv, write_json
from mri_stages.storage.records import Pair

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
