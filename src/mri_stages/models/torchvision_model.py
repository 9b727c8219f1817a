"""Any classifier of torchvision by its name: `options: {name: resnet18}`.

It needs the extra `torchvision` of this project: `pip install -e '.[torchvision]'`. Its head gives
one logit per class of the data. The weights are random; `weights` of a model fills them from a file
(docs/models.md), except those of the head.

- Grey images: one channel is repeated three times.
- ImageNet's normalisation: the stage `scale` has given each pixel mean 0 and deviation 1. A value x
  is read as the brightness 0.449 + 0.226 x, of ImageNet's mean and deviation over all channels.
  Then each channel is normalised as for ImageNet: less its mean, by its deviation.

The classifier is the module `body`: `freeze` takes names such as `body.layer1`, `body.features`.
"""

from difflib import get_close_matches

import torch
from torch import nn

from mri_stages.errors import InputError
from mri_stages.models.layers import Shape

# Of red, green and blue, over the images of ImageNet with values from 0 to 1.
IMAGENET_MEANS = (0.485, 0.456, 0.406)
IMAGENET_DEVIATIONS = (0.229, 0.224, 0.225)

# These give further outputs in training, which the loss here does not know.
NETWORKS_WITH_AUXILIARY_OUTPUTS = ("googlenet", "inception_v3")


class NormalisedNetwork(nn.Module):
    """A network of three channels behind ImageNet's normalisation."""

    factor: torch.Tensor
    shift: torch.Tensor

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        means = torch.tensor(IMAGENET_MEANS)
        deviations = torch.tensor(IMAGENET_DEVIATIONS)
        factor = deviations.mean() / deviations
        shift = (means.mean() - means) / deviations
        self.register_buffer("factor", factor[:, None, None], persistent=False)
        self.register_buffer("shift", shift[:, None, None], persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, K) of images (N, 1 or 3, H, W)."""
        logits: torch.Tensor = self.body(images * self.factor + self.shift)
        return logits


def make_network(image_shape: Shape, n_classes: int, name: str = "resnet18") -> nn.Module:
    channels = image_shape[0]
    if channels not in (1, 3):
        raise InputError(f"torchvision_model: {channels} channels, expected 1 or 3")
    try:
        from torchvision import models
    except ImportError:
        raise InputError(
            "torchvision_model: the package torchvision is missing; install it with "
            "`pip install -e '.[torchvision]'`"
        ) from None
    except RuntimeError as error:  # its code in C does not find that of PyTorch
        raise InputError(
            f"torchvision_model: this torchvision does not fit torch {torch.__version__} "
            f"({error}); install both from the same index"
        ) from None

    known_names = models.list_models(module=models)
    if name not in known_names:
        similar_names = get_close_matches(str(name), known_names) or ["resnet18", "densenet121"]
        raise InputError(
            f"torchvision_model: torchvision has no classifier {name!r}, expected a name such as "
            f"{', '.join(similar_names)}"
        )

    options = {}
    if name in NETWORKS_WITH_AUXILIARY_OUTPUTS:
        options = {"aux_logits": False, "init_weights": True}
    return NormalisedNetwork(models.get_model(name, num_classes=n_classes, **options))
