import torch
from torch import nn

from mri_stages.training.predict import predict_logits


class Views(nn.Module):
    """A network with its own forward, which takes contiguous images only."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.linear = nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.drop(self.norm(x.view(len(x), 12))))
        return logits


def test_predict_logits_in_batches_gives_one_pass_in_eval_mode() -> None:
    torch.manual_seed(0)
    x = torch.randn(150, 1, 2, 2).expand(-1, 3, -1, -1)  # equal channels, stored once
    network = Views().train()
    logits = predict_logits(network, x, batch_size=4)
    torch.testing.assert_close(logits, network.eval()(x.contiguous()).detach())
