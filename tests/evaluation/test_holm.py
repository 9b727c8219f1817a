import pytest

from mri_stages.evaluation.holm import PValue, correct_by_holm


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
    corrected = correct_by_holm([PValue(p) for p in p_values])
    assert [p.value for p in corrected] == pytest.approx(expected)


FLOOR = PValue(0.001, is_floor=True)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([FLOOR, PValue(0.5)], [True, False]),  # twice the floor
        ([FLOOR, FLOOR], [True, True]),  # twice the floor, and no less for the second
        ([FLOOR, PValue(0.0015)], [True, True]),  # twice the floor decides the second too
        ([FLOOR, PValue(0.002)], [True, False]),  # the second p is as large as that
        ([PValue(0.001), FLOOR], [False, False]),
        ([PValue(0.6, is_floor=True)] * 2, [False, False]),  # cut to 1
    ],
)
def test_corrected_p_is_a_bound_where_a_floor_decides_it(
    p_values: list[PValue], expected: list[bool]
) -> None:
    assert [p.is_floor for p in correct_by_holm(p_values)] == expected
