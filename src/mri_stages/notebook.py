"""Short forms of the library's functions, for notebooks."""

from mri_stages.storage.dataset import LabelledImages, load_scaled, load_stored, read_info


def load_split(split: str, scaled: bool = True) -> LabelledImages:
    """Return images (N, C, H, W), labels (N,) and subjects (N,) of "train" or "test".

    scaled: float32 images, as networks are trained on. False: the images as `load` stored them,
    float32 pixels or uint8 grey levels k for pixels k/255, as `predict` takes them.
    """
    info = read_info()
    if scaled:
        return load_scaled(split, info)
    return load_stored(split, info)
