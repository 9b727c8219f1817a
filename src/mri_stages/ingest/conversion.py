"""Convert a set of images to a raw folder: choose the test images, order the rows, write tensors.

The set may be larger than memory.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from mri_stages.console import show_progress
from mri_stages.errors import InputError
from mri_stages.ingest.file_kinds import COLOUR, GREY, Kind, KindCounts, Property
from mri_stages.ingest.fitting import fit_image
from mri_stages.ingest.image_set import Faults, ImageError, ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions, PixelOptions, write_import_options
from mri_stages.ingest.raw_folder import SplitIntegers, save_labels, save_tensor
from mri_stages.ingest.subject_ids import SubjectIds
from mri_stages.ingest.subject_table import list_detail_columns, make_subject_table
from mri_stages.storage.arrays import HEADER_BYTES, FormatError
from mri_stages.storage.dataset import SPLITS
from mri_stages.storage.files import write_atomically, write_csv

N_CHANNELS = 3  # of the images in a raw folder; grey ones store a single channel
MAX_LISTED_SIZES = 5  # in an error message

Subjects = SubjectIds | None  # the subject of each file of a set, if known


class ImageSurvey:
    """Counts what is to be said of the images of a set, and what is wrong with them."""

    def __init__(self, source: Path, n_files: int) -> None:
        self.source = source
        self.n_files = n_files
        self.notes = Counter[str]()
        self.kinds = KindCounts()
        self.sizes = Counter[str]()
        self.faults = Faults()

    def add_size(self, image: NDArray[np.uint8]) -> None:
        self.sizes[format_size(image)] += 1

    @property
    def has_one_size(self) -> bool:
        return len(self.sizes) == 1

    def raise_faults(self) -> None:
        """Raise InputError if images are wrong, or of several sizes."""
        problems = self.faults.describe()
        if len(self.sizes) > 1:
            counts = [
                f"{count} of {size}" for size, count in self.sizes.most_common(MAX_LISTED_SIZES)
            ]
            problems.append(
                f"{len(self.sizes)} sizes: {', '.join(counts)} pixels; bring them to one by "
                "--resize HEIGHT WIDTH, see --fit"
            )
        if problems:
            raise InputError(f"{self.source}: of {self.n_files} images, {'; '.join(problems)}")


def format_size(image: NDArray[np.uint8]) -> str:
    _, height, width = image.shape
    return f"{height} x {width}"


def choose_test_files(
    image_set: ImageSet, subjects: Subjects, source: Path, share: float | None, seed: int
) -> NDArray[np.bool_]:
    """Return which files (N,) are test: those that the set says, or else a share of it.

    Raise InputError, which names `source`, if the set says train and test and there is a share, or
    if there is neither.
    """
    has_split = bool(image_set.files[0].split)
    if has_split and share is not None:
        raise InputError(f"{source}: is split into train and test, expected none with --test-share")
    if has_split:
        return np.array([file.split == "test" for file in image_set.files])
    if share is None:
        raise InputError(f"{source}: not split into train and test; '--test-share 0.2' splits it")

    labels = list_labels(image_set)
    try:
        test_mask = draw_test_share(labels, subjects, share, seed)
    except ValueError as error:  # a share beyond 0 to 1, or too few images
        unit = "images" if subjects is None else "subjects"
        n_units = len(labels) if subjects is None else len(np.unique(subjects.numbers))
        raise InputError(
            f"{source}: --test-share {share} of {n_units} {unit}: {error}; expected more {unit}, "
            "or another share"
        ) from None
    incomplete_classes = sorted(set(labels[test_mask]) ^ set(labels[~test_mask]))
    if incomplete_classes:
        raise InputError(
            f"{source}: --test-share {share} leaves {len(incomplete_classes)} classes out of train "
            f"or test, {explain_incomplete_class(image_set, subjects, incomplete_classes)}"
        )
    return test_mask


def explain_incomplete_class(
    image_set: ImageSet, subjects: Subjects, labels: Sequence[np.int64]
) -> str:
    """Return why one of these classes misses in train or test, and what helps.

    No share and no seed helps a class of one subject, or of one image where subjects are unknown.
    """
    unit = "image" if subjects is None else "subject"
    groups = np.arange(len(image_set.files)) if subjects is None else subjects.numbers
    all_labels = list_labels(image_set)
    for label in labels:
        if len(np.unique(groups[all_labels == label])) == 1:
            return (
                f"since class {image_set.classes[label]} has a single {unit}, expected two or more "
                f"{unit}s in each class"
            )
    return f"expected {unit}s of each class in both; try another share or --seed"


def draw_test_share(
    labels: NDArray[np.int64], subjects: Subjects, share: float, seed: int
) -> NDArray[np.bool_]:
    """Return a random test mask (N,) of whole subjects, or of files where subjects are unknown.

    It is stratified by the class of a subject's first file. A class of one subject is stratified
    with the largest class, since scikit-learn refuses classes of one.
    """
    groups = np.arange(len(labels)) if subjects is None else subjects.numbers
    units, first_files = np.unique(groups, return_index=True)
    unit_labels = labels[first_files]
    class_counts = np.bincount(unit_labels)
    strata = np.where(class_counts[unit_labels] > 1, unit_labels, class_counts.argmax())

    _, test_units = train_test_split(units, test_size=share, stratify=strata, random_state=seed)
    return np.isin(groups, test_units)


def order_rows(test_mask: NDArray[np.bool_], seed: int) -> SplitIntegers:
    """Return the indices of the files of train and of test, each in random order."""
    rng = np.random.default_rng(seed)
    return {
        "train": rng.permutation(np.flatnonzero(~test_mask)),
        "test": rng.permutation(np.flatnonzero(test_mask)),
    }


def list_labels(image_set: ImageSet) -> NDArray[np.int64]:
    return np.array([file.label for file in image_set.files])


def write_raw_folder(
    folder: Path,
    image_set: ImageSet,
    subjects: Subjects,
    indices: SplitIntegers,
    source: Path,
    options: ImportOptions,
) -> ImageSurvey:
    """Write a raw folder of the files with these indices by split; return what is said of them.

    Raise InputError, which names `source` and writes nothing, if some images are wrong or their
    sizes differ.
    """
    labels = list_labels(image_set)
    split_labels = {split: labels[indices[split]] for split in SPLITS}
    split_subjects = {}
    if subjects is not None:
        split_subjects = {split: subjects.numbers[indices[split]] for split in SPLITS}
    split_files = {}
    for split in SPLITS:
        split_files[split] = [image_set.files[index] for index in indices[split]]

    columns = list_detail_columns(image_set)
    subject_table = make_subject_table(image_set, subjects, columns)

    with write_atomically(folder) as partial:
        partial.mkdir()
        survey = write_images(partial, split_files, source, options)
        save_labels(partial, image_set.classes, split_labels, split_subjects)
        write_file_table(partial / "files.csv", image_set, subjects, indices)
        if subject_table is not None:
            write_csv(partial / "subjects.csv", subject_table.header, subject_table.rows)
        write_import_options(partial, options, image_set.file_counts)
    return survey


def write_file_table(
    path: Path, image_set: ImageSet, subjects: Subjects, indices: SplitIntegers
) -> None:
    """Write a CSV that says which file each row is, with its class, and its subject if known.

    The kept columns of a table follow.
    """
    columns = list_detail_columns(image_set)
    table: list[tuple[object, ...]] = []
    for split in SPLITS:
        for row, index in enumerate(indices[split]):
            file = image_set.files[index]
            subject = "" if subjects is None else subjects.numbers[index]
            details = [file.details[column] for column in columns]
            table.append((row, split, image_set.classes[file.label], subject, file.name, *details))
    write_csv(path, ("row", "split", "class", "subject", "file", *columns), table)


def write_images(
    folder: Path,
    split_files: Mapping[str, Sequence[ImageFile]],
    source: Path,
    options: PixelOptions,
) -> ImageSurvey:
    """Write the images of train and test as uint8 (N, 3, H, W); grey ones store one channel.

    Return how they were converted, and of which kind they are.
    """
    files = [*split_files["train"], *split_files["test"]]
    path = folder / "pixels.npy"
    try:
        survey = write_pixels(path, files, 1, source, options)
    except FormatError:
        survey = write_pixels(path, files, N_CHANNELS, source, options)

    pixels = np.load(path, mmap_mode="r+")  # torch warns of arrays that it cannot write to
    train_pixels, test_pixels = np.split(pixels, [len(split_files["train"])])
    save_tensor(folder / "train_data.pt", expand_channels(train_pixels))
    save_tensor(folder / "test_data.pt", expand_channels(test_pixels))
    path.unlink()
    return survey


def write_pixels(
    path: Path,
    files: Sequence[ImageFile],
    n_channels: int,
    source: Path,
    options: PixelOptions,
) -> ImageSurvey:
    """Write the first `n_channels` of all images as one array; return what is said of them.

    Raise FormatError if the further channels are not equal to the first, and InputError if some
    images are wrong, or their sizes differ.
    """
    survey = ImageSurvey(source, len(files))
    images = iterate_images(files, n_channels, options, survey)
    first_row, first_image = next(images)
    shape = (len(files), *first_image.shape)
    write_rows(path, shape, chain([(first_row, first_image)], images))
    return survey


def write_rows(
    path: Path, shape: tuple[int, ...], rows: Iterable[tuple[int, NDArray[np.uint8]]]
) -> None:
    """Write an array of uint8 from its rows, which come in any order with their numbers."""
    header = {"shape": shape, "fortran_order": False, "descr": np.dtype(np.uint8).str}
    row_bytes = math.prod(shape[1:])
    n_bytes = HEADER_BYTES + shape[0] * row_bytes
    with write_atomically(path, n_bytes) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        first_byte = file.tell()
        for row, pixels in rows:
            file.seek(first_byte + row * row_bytes)
            file.write(np.ascontiguousarray(pixels).data)


def expand_channels(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Return pixels (N, 1 or 3, H, W) as a tensor of 3 channels; a single one is not copied."""
    return torch.from_numpy(pixels).expand(-1, N_CHANNELS, -1, -1)


def name_colour(image: NDArray[np.uint8]) -> str:
    """Return whether an image (3, H, W) is grey or in colour."""
    red, green, blue = image
    # One channel at a time: where the channels lie last, NumPy is far slower on all at once.
    is_grey = np.array_equal(red, green) and np.array_equal(red, blue)
    return GREY if is_grey else COLOUR


def iterate_images(
    files: Sequence[ImageFile], n_channels: int, options: PixelOptions, survey: ImageSurvey
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield each row's number and its first `n_channels` (n_channels, H, W), until two sizes.

    Files are read in the order of their names, whatever the order of the rows: all slices of a
    volume then come from one reading. Raise FormatError if the further channels of an image are not
    equal to the first. All images are read before InputError counts the wrong ones.
    """
    with show_progress(len(files), "images", "image") as advance:
        for row in sorted(range(len(files)), key=lambda row: files[row].name):
            file = files[row]
            kind: Kind = {}
            try:
                image = file.picture.read(survey.notes, kind)
            except ImageError as error:
                survey.faults.add(file.name, error)
            else:
                kind[Property.SIZE] = format_size(image)
                image = fit_image(image, options, survey.notes)
                kind[Property.COLOUR] = name_colour(image)
                survey.add_size(image)
                survey.kinds.add(file.label, kind)
                if survey.has_one_size:
                    if n_channels == 1 and kind[Property.COLOUR] == COLOUR:
                        raise FormatError
                    yield row, image[:n_channels]
            advance(1)
    survey.raise_faults()
