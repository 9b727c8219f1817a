"""A training fails in the middle of a finished pipeline, and is then repaired."""

import json

import pytest

from tests.helpers.clones import Clone

pytestmark = pytest.mark.slow

ARCHITECTURE = """\
from math import prod
from torch import nn

class Broken(nn.Module):
    def __init__(self, n_pixels, n_classes):
        super().__init__()
        self.layer = nn.Linear(n_pixels, n_classes)
        self.n_calls = 0

    def forward(self, images):
        self.n_calls += 1
        if self.n_calls > 3:
            raise ValueError("no fourth batch")
        return self.layer(images.flatten(1))

def make_network(image_shape, n_classes):
    return Broken(prod(image_shape), n_classes)
"""
METRICS = "metrics/conv_nn2.json"
CONFUSION = "plots/confusion/conv_nn2.csv"
REPRO = ("python", "-m", "mri_stages", "repro")


def test_failed_training_is_left_out_until_it_is_repaired(finished: Clone, clone: Clone) -> None:
    (clone.folder / "src/mri_stages/models/broken.py").write_text(ARCHITECTURE)
    clone.change_params({"models.conv_nn2.arch": "broken"})
    process = clone.start(*REPRO)
    output, _ = process.communicate()

    assert process.returncode == 1, output
    assert "no fourth batch" in output.splitlines()[-3]  # the table, then one line of error
    outs = clone.read_outs()
    assert not {METRICS, CONFUSION} & outs.keys()
    assert outs["metrics/simple_nn2.json"] == finished.read_outs()["metrics/simple_nn2.json"]
    assert b"<td>no result</td>" in outs["plots/report.html"]
    assert b"conv_nn2" not in outs["plots/history.csv"]
    status = json.loads(clone.run("dvc", "status", "--json", "dvc.yaml"))
    assert set(status) == {"train@conv_nn2", "evaluate@conv_nn2"}

    (clone.folder / "src/mri_stages/models/broken.py").unlink()
    clone.change_params({"models.conv_nn2.arch": "conv_nn2"})
    clone.run(*REPRO)
    assert clone.read_outs() == finished.read_outs()
    assert clone.run("git", "status", "--short") == ""
