import numpy as np

from mri_stages.baselines.majority import predict_majority

LABELS = np.array([0, 0, 1, 1, 1, 2])
GROUPS = np.array([0, 1, 0, 1, 1, 0])


def test_majority_is_the_largest_class_of_other_groups() -> None:
    # The others of group 0 are of classes 0, 1, 1; those of group 1 of 0, 1, 2: the first wins.
    probabilities = predict_majority(LABELS, GROUPS, n_classes=3)
    assert probabilities.argmax(1).tolist() == [1, 0, 1, 0, 0, 1]


def test_majority_is_certain() -> None:
    probabilities = predict_majority(LABELS, GROUPS, n_classes=4)
    assert probabilities.shape == (6, 4)
    assert np.sort(probabilities, axis=1).tolist() == [[0, 0, 0, 1]] * 6
