import pytest

from mri_stages.evaluation.holm import correct_by_holm


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # of a textbook
        ([0.02], [0.02]),
        ([0.5, 0.9], [1, 1]),
        ([], []),
    ],
)
def test_correct_by_holm(p_values: list[float], expected: list[float]) -> None:
    assert correct_by_holm(p_values) == pytest.approx(expected)
