import numpy as np
import pytest
import torch
from torch import nn

from src.evaluation import mean_cross_entropy, predict_logits


def test_batches_give_the_logits_of_one_pass_in_eval_mode() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3))
    x = torch.randn(150, 3, 2, 2)
    logits = predict_logits(network.train(), x)
    torch.testing.assert_close(logits, network.eval()(x).detach())


def test_mean_cross_entropy_against_hand_computed_values() -> None:
    logits = nn.functional.one_hot(torch.tensor([0, 1, 1]), 3) * 2.0
    right, wrong = -np.log(np.e**2 / (np.e**2 + 2)), -np.log(1 / (np.e**2 + 2))
    assert mean_cross_entropy(logits, np.array([0, 1, 2])) == pytest.approx((2 * right + wrong) / 3)
    assert np.isnan(mean_cross_entropy(torch.full((4, 3), torch.nan), np.array([0, 1, 1, 2])))
