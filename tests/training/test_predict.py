import torch
from torch import nn

from mri_stages.training.predict import predict_logits
from tests.helpers.networks import Views

IMAGES = torch.randn(150, 1, 2, 2, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)


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
