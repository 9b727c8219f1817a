"""Look at a set of opened files as a whole: what is wrong with some, and what is said of all.

Only the headers of DICOM files and of volumes were read before, so this takes no time.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from mri_stages.errors import InputError
from mri_stages.ingest.dicom_file import DicomPicture
from mri_stages.ingest.image_set import Faults, FaultyPicture, ImageFile, Picture
from mri_stages.ingest.import_options import ImportOptions, PixelOptions
from mri_stages.ingest.volume_file import VolumeSlice

# An id that stands in more than this share of the files of a class is that of most of them.
MAJORITY_SHARE = 1 / 2


def check_opened_files(source: Path, files: Sequence[ImageFile], options: ImportOptions) -> None:
    """Raise InputError, which names `source`, if files are faulty or lack the id of their subject.

    Only DICOM files have to have one, since their PatientID is there for it.
    """
    check_faults(source, files)
    if options.subjects is None and options.subject_pattern is None:
        check_patient_ids(source, files)


def check_faults(source: Path, files: Sequence[ImageFile]) -> None:
    """Raise InputError that counts the files whose headers show a fault, by its kind."""
    faults = Faults()
    for file in files:
        if isinstance(file.picture, FaultyPicture):
            faults.add(file.name, file.picture.error)
    problems = faults.describe()
    if problems:
        raise InputError(f"{source}: of {len(files)} images, {'; '.join(problems)}")


def check_patient_ids(source: Path, files: Sequence[ImageFile]) -> None:
    """Raise InputError that counts the DICOM files without a PatientID where nothing replaces it.

    A table, a folder or a level that gives the ids has replaced them before.
    """
    dicom_files = [file for file in files if file.is_subject_private]
    missing = [file.name for file in dicom_files if not file.subject]
    if missing:
        raise InputError(
            f"{source}: {len(missing)} of {len(dicom_files)} DICOM files have no PatientID, such "
            f"as {missing[0]}; tell the subjects by --subject-pattern, --subjects, --subject-level "
            "or --subject-column of a --table; --subject-pattern '(.+)': each file is a subject"
        )


def describe_pictures(pictures: Sequence[Picture], options: PixelOptions) -> list[str]:
    """Return what is to be said of the DICOM files and the volumes among pictures, as notes."""
    dicom_pictures = [picture for picture in pictures if isinstance(picture, DicomPicture)]
    slices = [picture for picture in pictures if isinstance(picture, VolumeSlice)]
    return [*describe_windows(dicom_pictures, options), *describe_orientations(slices)]


def describe_unused_options(pictures: Sequence[Picture], options: PixelOptions) -> list[str]:
    """Return a note for each option of DICOM files and volumes that changes none of the pictures.

    An image of 12 bits in a PNG file, for example, has no percentiles.
    """
    has_volumes = any(isinstance(picture, VolumeSlice) for picture in pictures)
    has_dicom = any(isinstance(picture, DicomPicture) for picture in pictures)
    notes = []
    if options.slices is not None and not has_volumes:
        notes.append("--slices changes nothing: there is no volume")
    for option, value in (("window", options.window), ("percentiles", options.percentiles)):
        if value is not None and not has_volumes and not has_dicom:
            notes.append(f"--{option} changes nothing: there is no DICOM file and no volume")
    return notes


def describe_windows(pictures: Sequence[DicomPicture], options: PixelOptions) -> list[str]:
    """Return a note on the windows of DICOM files, if there are several or one option for all."""
    if pictures and options.window is not None:
        center, width = options.window
        return [f"the window {center:g} {width:g} is taken for all grey DICOM files"]

    windows = Counter(picture.window for picture in pictures if picture.window)
    if len(windows) < 2:
        return []
    ((window, count),) = windows.most_common(1)
    return [
        f"{len(windows)} different windows in {windows.total()} DICOM files, each file has its "
        f"own; most often {window} ({count} files); --window CENTER WIDTH takes one for all"
    ]


def describe_orientations(slices: Sequence[VolumeSlice]) -> list[str]:
    """Return notes on the volumes of which the axes are assumed."""
    n_assumed = len({str(piece.path) for piece in slices if piece.is_assumed})
    n_other = len({str(piece.path) for piece in slices if piece.has_other_order})
    notes = []
    if n_assumed:
        notes.append(
            f"{n_assumed} volumes (Analyze, or NIfTI without a matrix) do not say where left and "
            "right are; it is assumed that their axes begin at the patient's right, posterior and "
            "inferior end"
        )
    if n_other:
        notes.append(
            f"{n_other} of them name another order of the axes, which is not used, as in SPM; look "
            "at plots/sample.png"
        )
    return notes


def describe_identity(files: Sequence[ImageFile]) -> list[str]:
    """Return a note on what is kept of DICOM files that may name a person, if there are any."""
    n_files = sum(isinstance(file.picture, DicomPicture) for file in files)
    if not n_files:
        return []
    return [
        f"names of {n_files} DICOM files are kept as they are, in files.csv; PatientID, "
        "PatientName and birth date of their headers are written nowhere, but what a table says is"
    ]


def list_subject_warnings(files: Sequence[ImageFile], classes: Sequence[str]) -> list[str]:
    """Return a warning if one PatientID is that of most files in two or more classes."""
    class_ids: dict[int, Counter[str]] = defaultdict(Counter)
    for file in files:
        if file.is_subject_private and file.subject:
            class_ids[file.label][file.subject] += 1

    common_labels: dict[str, list[int]] = defaultdict(list)
    for label, ids in class_ids.items():
        ((subject, count),) = ids.most_common(1)
        if count > MAJORITY_SHARE * ids.total():
            common_labels[subject].append(label)

    shared_labels = [labels for labels in common_labels.values() if len(labels) > 1]
    if not shared_labels:
        return []
    names = ", ".join(classes[label] for label in sorted(shared_labels[0]))
    return [
        f"one PatientID is that of most files in the classes {names}; it may not tell subjects "
        "apart (a placeholder of whoever removed the names?)"
    ]
