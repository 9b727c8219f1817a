"""A small convolutional network for small images, such as MNIST or digits: from 8 x 8 pixels."""

from torch import nn

from mri_stages.models.layers import Shape, check_size


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    channels, height, width = image_shape
    check_size(image_shape, 8, "small_cnn")
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), 128),
        nn.ReLU(),
        nn.Linear(128, n_classes),
    )
