import pytest
import torch
from torch import nn

from mri_stages.models import Ensemble, make_network
from mri_stages.training.predict import drop_needless_work, predict_logits
from tests.helpers.networks import Views

IMAGES = torch.randn(150, 1, 2, 2, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)

SHAPE = (3, 36, 40)
GREY_IMAGES = torch.randn(20, 1, 36, 40, generator=torch.Generator().manual_seed(0)).expand(
    -1, 3, -1, -1
)


def make_views() -> Views:
    torch.manual_seed(0)
    return Views().train()


def test_predict_logits_in_batches_equals_one_pass_in_eval_mode() -> None:
    network = make_views()
    logits = predict_logits(network, IMAGES, batch_size=4)
    torch.testing.assert_close(logits, network.eval()(IMAGES.contiguous()).detach())


def test_predict_logits_of_indices_keeps_their_order() -> None:
    network = make_views()
    indices = torch.tensor([7, 3, 149, 3])
    logits = predict_logits(network, IMAGES, indices, batch_size=3)
    torch.testing.assert_close(logits, predict_logits(network, IMAGES)[indices])


def test_predict_logits_leaves_the_modes_alone() -> None:
    network = make_views()
    network.norm.eval()
    predict_logits(network, IMAGES)
    assert [module.training for module in network.children()] == [False, True, True]


def test_predict_logits_takes_no_more_rows_than_its_batch_size() -> None:
    sizes: list[int] = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    network.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    predict_logits(network, IMAGES, batch_size=70)
    predict_logits(network, IMAGES, torch.arange(80), batch_size=70)
    assert sizes == [70, 70, 10, 70, 10]


def test_predict_logits_keeps_float64() -> None:
    network = make_views().double()
    logits = predict_logits(network, IMAGES.double())
    torch.testing.assert_close(logits, network.eval()(IMAGES.double().contiguous()).detach())


def test_predict_logits_of_bf16_are_float32() -> None:
    assert predict_logits(make_views().bfloat16(), IMAGES.bfloat16()).dtype == torch.float32


def test_predict_logits_leaves_images_alone_that_a_network_changes() -> None:
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(12, 3))
    images = torch.linspace(-1, 1, 60).view(5, 3, 2, 2)
    before = images.clone()
    predict_logits(network, images)
    assert torch.equal(images, before)


def make_ensemble() -> nn.Module:
    return Ensemble([make_network("conv_nn2", SHAPE, 4, seed) for seed in (0, 1)]).double()


@pytest.mark.parametrize("arch", ["simple_nn2", "conv_nn1", "conv_nn2", "ensemble"])
@pytest.mark.parametrize("are_grey", [True, False])
def test_predict_logits_of_a_reduced_network_equals_plain(arch: str, are_grey: bool) -> None:
    network = make_ensemble() if arch == "ensemble" else make_network(arch, SHAPE, 4, 0).double()
    images = GREY_IMAGES.double()
    if not are_grey:
        images = images + torch.linspace(0, 1, 3, dtype=torch.float64).view(1, 3, 1, 1)
    with torch.inference_mode():
        expected = network.eval()(images.contiguous())
    torch.testing.assert_close(predict_logits(network, images), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("arch", ["simple_nn2", "conv_nn2"])
def test_drop_needless_work_reads_one_of_equal_channels(arch: str) -> None:
    network, images = drop_needless_work(make_network(arch, SHAPE, 4, 0), GREY_IMAGES)
    assert images.shape == (20, 1, 36, 40)
    n_features = 3 * 36 * 40 if arch == "simple_nn2" else 3 * 25
    assert next(network.parameters())[0].numel() == n_features // 3


def test_drop_needless_work_leaves_a_network_that_it_does_not_know() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 3))
    assert drop_needless_work(network, IMAGES) == (network, IMAGES)


def test_predict_logits_of_a_frozen_network_has_the_same_bits() -> None:
    """The networks of folds are trained with frozen parts, and restored from files without."""
    network = make_network("conv_nn2", SHAPE, 4, 0)
    logits = predict_logits(network, GREY_IMAGES)
    next(network.parameters()).requires_grad_(False)
    assert torch.equal(predict_logits(network, GREY_IMAGES), logits)


def test_predict_logits_reads_the_weights_of_a_further_training() -> None:
    network = make_network("simple_nn2", SHAPE, 4, 0)
    first_logits = predict_logits(network, GREY_IMAGES)
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    assert not torch.allclose(predict_logits(network, GREY_IMAGES), first_logits)
