import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from src.cli import InputError
from src.evaluation.confidence import confidence_interval
from src.params import BASELINES
from stages import baselines

TRAIN, CLASSES = 40, ["Ill", "Sane", "Unsure"]
RNG = np.random.default_rng(0)
# 60 rows of 15 subjects, whose rows in train and in test are alike except for noise.
SUBJECTS = np.concatenate([np.arange(TRAIN) % 15, 14 - np.arange(20) % 12])
X = (RNG.integers(0, 200, (15, 20))[SUBJECTS] + RNG.integers(0, 50, (60, 20))).astype(np.uint8)
Y = (SUBJECTS >= 9) + (SUBJECTS == 14).astype(int)  # only subject 14 is Unsure


@pytest.fixture(autouse=True)
def flat(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    Path("data/flat").mkdir(parents=True)
    for split, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        for name, values in (("x", X), ("y", Y), ("subjects", SUBJECTS)):
            np.save(f"data/flat/{name}_{split}.npy", values[part])
    info = {"image_shape": [3, 5, 4], "classes": CLASSES, "scored": CLASSES, "counts": {}}
    Path("data/flat/info.json").write_text(json.dumps(info))


def results() -> tuple[dict[str, Any], ...]:
    """Run the stage; return the metrics of each baseline, then the leakage."""
    baselines.main()
    paths = [*(f"metrics/{name}.json" for name in BASELINES), "plots/leakage.json"]
    return tuple(json.loads(Path(path).read_text()) for path in paths)


def test_baselines_show_how_much_leakage_inflates_the_accuracy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    majority, nearest, nearest_random, nearest_subject, leakage = results()
    is_most = Y[TRAIN:] == np.bincount(Y[:TRAIN]).argmax()
    assert majority["accuracy"] == pytest.approx(is_most.mean())
    intervals = [(found["ci_low"], found["ci_high"]) for found in (majority, nearest_random)]
    ids = SUBJECTS[TRAIN:], SUBJECTS
    assert intervals == [*map(confidence_interval, (is_most, np.ones(60, bool)), ids)]
    knn = KNeighborsClassifier(1).fit(X[:TRAIN].astype(float), Y[:TRAIN])
    assert nearest["accuracy"] == knn.score(X[TRAIN:].astype(float), Y[TRAIN:]) == 1.0
    assert nearest_subject["accuracy"] < 0.8 < nearest_random["accuracy"] == 1.0
    assert ("unscored_classes" in nearest, nearest_subject["unscored_classes"]) == (False, "Unsure")
    assert leakage["left_out_on_folds"] == {"random": [], "subject": ["Unsure"]}
    assert leakage["shared_subjects"] == leakage["same_subject_neighbour"] == 1.0
    assert leakage["sentence"] in capsys.readouterr().out


@pytest.mark.parametrize("ids_known", [True, False])
def test_baselines_without_folds_by_subject_leave_them_out(ids_known: bool) -> None:
    if ids_known:
        params = Path("params.yaml").read_text()
        Path("params.yaml").write_text(params.replace("folds: 2", "folds: 16"))
    else:
        for split in ("train", "test"):
            Path(f"data/flat/subjects_{split}.npy").unlink()
    *_, nearest_random, nearest_subject, leakage = results()
    assert (nearest_random["accuracy"], nearest_subject) == (1.0, {})
    assert (leakage["leak"], "shared_subjects" in leakage) == (True, ids_known)


@pytest.mark.parametrize("values", [np.float32(X / 255), np.tile(X, 3)])
def test_baselines_of_parts_in_two_storage_formats_name_the_file(values: np.ndarray) -> None:
    np.save("data/flat/x_test.npy", values[TRAIN:])
    with pytest.raises(InputError, match=r"data/flat/x_test\.npy"):
        baselines.main()
    assert not Path("metrics").exists()
