"""Write small DICOM files and volumes, and list the real ones of other people."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from nibabel.analyze import AnalyzeImage
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from mri_stages.ingest.formats import Format, find_format

# Test data in the packages of pydicom and nibabel, which need no download.
DICOM_FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
VOLUME_FOLDER = Path(nibabel.__file__).parent / "tests" / "data"

WINDOW = {"WindowCenter": 0, "WindowWidth": 400}  # of -200 to 200
GREYS = np.arange(-6, 6, dtype=np.int16).reshape(3, 4) * 50


def encode_dicom(
    pixels: NDArray[Any] = GREYS,
    elements: Mapping[str, object] | None = None,
    syntax: UID = ExplicitVRLittleEndian,
) -> bytes:
    """Return a DICOM file of grey pixels (H, W), with further elements; "" removes one."""
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = "1.2.3"
    dataset.PatientID = "P1"
    dataset.Rows = pixels.shape[0]
    dataset.Columns = pixels.shape[1]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = pixels.itemsize * 8
    dataset.BitsStored = pixels.itemsize * 8
    dataset.HighBit = pixels.itemsize * 8 - 1
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    for name, value in (elements or {}).items():
        if value == "":
            del dataset[name]
        else:
            setattr(dataset, name, value)

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def write_dicom(
    path: Path, pixels: NDArray[Any] = GREYS, elements: Mapping[str, object] | None = None
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_dicom(pixels, elements))
    return path


def make_table(results: list[int], first_value: int, n_bits: int) -> Dataset:
    """Return the item of a sequence that holds a LUT."""
    table = Dataset()
    table.LUTDescriptor = [len(results), first_value, n_bits]
    table["LUTDescriptor"].VR = "SS" if first_value < 0 else "US"
    table.LUTData = results
    table["LUTData"].VR = "US"
    return table


def write_volume(path: Path, voxels: NDArray[Any], affine: NDArray[Any] | None = None) -> Path:
    """Write a volume as NIfTI, or as Analyze where the path ends in .hdr."""
    path.parent.mkdir(parents=True, exist_ok=True)
    matrix = np.eye(4) if affine is None else affine
    if path.suffix == ".hdr":
        nibabel.save(AnalyzeImage(voxels, None), path.with_suffix(".img"))
    else:
        nibabel.save(Nifti1Image(voxels, matrix), path)
    return path


def list_dicom_files() -> list[Path]:
    """Return the files of pydicom's test data that may be DICOM, and those of nibabel.

    One folder holds 50 files that are alike, without pixels.
    """
    files = [path for path in DICOM_FOLDER.rglob("*") if path.is_file()]
    candidates = [path for path in files if "TINY_ALPHA" not in path.parts]
    candidates += VOLUME_FOLDER.glob("*.dcm")
    return sorted(path for path in candidates if find_format(path, path.name) is Format.DICOM)
