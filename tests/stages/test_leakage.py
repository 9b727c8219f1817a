import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.baselines import nearest_neighbours
from mri_stages.errors import InputError
from stages import leakage, neighbours
from tests.helpers.flat_rows import SUBJECTS, remove_subject_ids, write_flat_rows


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    write_flat_rows(workspace)


def measure_leakage() -> dict[str, Any]:
    neighbours.main()
    leakage.main()
    content: dict[str, Any] = json.loads(paths.LEAKAGE.read_text())
    return content


def test_leakage_finds_subjects_and_neighbours_in_train() -> None:
    figures = measure_leakage()
    sentence = figures.pop("sentence")
    assert sentence.startswith("Leakage: 100%")
    assert figures == {
        "nearest_neighbour_given": 1.0,
        "nearest_neighbour_random": 1.0,
        "shared_subjects": 1.0,
        "same_subject_neighbour": 1.0,
        "nearest_row_of_same_subject": 1.0,
    }


def test_leakage_prints_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = measure_leakage()["sentence"]
    assert sentence in capsys.readouterr().out


def test_leakage_without_ids_claims_nothing(workspace: Path) -> None:
    remove_subject_ids(workspace)
    assert "shared_subjects" not in measure_leakage()


def test_leakage_without_ids_has_a_picture_of_its_own(workspace: Path) -> None:
    measure_leakage()
    before = paths.LEAKAGE_FIGURE.read_bytes()
    remove_subject_ids(workspace)
    measure_leakage()
    assert paths.LEAKAGE_FIGURE.read_bytes() != before


@pytest.mark.parametrize("n_shared", [0, 1])
def test_leakage_of_a_sample_counts_all_subjects(
    n_shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 30**2 * 520)
    subjects = np.arange(20) + 100
    subjects[:n_shared] = SUBJECTS[0]
    np.save("data/flat/subjects_test.npy", subjects)
    figures = measure_leakage()
    assert figures["sampled_rows"] < 60
    assert figures["shared_subjects"] == n_shared / 20


def test_leakage_without_neighbours_names_the_file() -> None:
    with pytest.raises(InputError, match=str(paths.NEIGHBOURS)):
        leakage.main()
