import numpy as np
import pytest
import torch
from torch import nn

from src.evaluation import predict_logits, score


def test_batches_give_the_logits_of_one_pass_in_eval_mode() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3))
    x = torch.randn(150, 3, 2, 2)
    logits = predict_logits(network.train(), x)
    torch.testing.assert_close(logits, network.eval()(x).detach())


def test_scores_against_hand_computed_values() -> None:
    y = np.array([0, 0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 0, 0, 1, 1, 0])
    metrics = score(nn.functional.one_hot(predicted, 3) * 2.0, y, None)
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["balanced"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    # F1 of class 0: 2*3/(2*3+1+1); of class 1: 2*1/(2*1+1+1). Class 2 has no test row.
    assert metrics["macro_f1"] == pytest.approx((6 / 8 + 2 / 4) / 2)
    right, wrong = -np.log(np.e**2 / (np.e**2 + 2)), -np.log(1 / (np.e**2 + 2))
    assert metrics["loss"] == pytest.approx((4 * right + 2 * wrong) / 6)


def test_nan_logits_are_class_0_and_have_no_finite_loss() -> None:
    metrics = score(torch.full((4, 3), torch.nan), np.array([0, 1, 1, 2]), None)
    assert metrics["accuracy"] == 0.25
    assert np.isnan(metrics["loss"])
