"""Short forms of the library's functions, for notebooks."""

from mri_stages import paths
from mri_stages.preprocessing.split_rows import load_unscaled
from mri_stages.storage.arrays import has_no_rows
from mri_stages.storage.dataset import LabelledImages, load_scaled, load_stored, read_info


def load_split(split: str, scaled: bool = True) -> LabelledImages:
    """Return images (N, C, H, W), labels (N,) and subjects (N,) of "train" or "test".

    scaled: float32 images, as networks are trained on; they are in memory where `data.scaled` is
    on_the_fly, else memory-mapped. False: the images as `load` stored them,
    float32 pixels or uint8 grey levels k for pixels k/255, as `predict` takes them.
    """
    info = read_info()
    if not scaled:
        return load_stored(split, info)
    if has_no_rows(paths.scaled_images(split)):
        images, labels, subjects = load_unscaled(split, info)
        return LabelledImages(images.scale_all(), labels, subjects)
    return load_scaled(split, info)
