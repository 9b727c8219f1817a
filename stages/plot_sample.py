"""Draw some of the images: plots/sample.png."""

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.plotting.slices import draw_slices
from mri_stages.plotting.style import save_png
from mri_stages.plotting.text import print_missing_letters
from mri_stages.storage.dataset import load_stored, read_info


def main() -> None:
    title = read_params().data.title
    info = read_info()
    train = load_stored("train", info)

    print_missing_letters(title, info.classes)
    figure = draw_slices(train.images, train.labels, info.classes, title)
    save_png(paths.SAMPLE_FIGURE, figure)


if __name__ == "__main__":
    run_stage(main)
