"""Write a model for use elsewhere: an ONNX file with its scaler, and what is known of it."""

from pathlib import Path

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.export.export_folder import (
    CARD_FILE,
    DESCRIPTION_FILE,
    HASHES_FILE,
    ONNX_FILE,
    describe_model,
    encode_model,
)
from mri_stages.export.onnx_file import check_onnx_file
from mri_stages.export.row_set import SetFigures, describe_stored_rows
from mri_stages.reporting.card import render_card
from mri_stages.reporting.page import describe_sample
from mri_stages.storage.arrays import write_array
from mri_stages.storage.dataset import Info, load_stored, read_info
from mri_stages.storage.files import write_atomically, write_bytes, write_json
from mri_stages.storage.records import read_leakage


def main() -> None:
    params = read_params()
    info = read_info()
    name = params.export.model
    training_set = describe_stored_rows(load_stored("train", info), info.classes, "hash rows")

    with write_atomically(paths.EXPORT) as folder:
        folder.mkdir()
        write_bytes(folder / ONNX_FILE, encode_model(name, params, info))
        difference = check_onnx_file(folder / ONNX_FILE, name, info)
        write_description(folder, name, params, info, training_set.figures)
        hashes = training_set.hashes
        write_array(folder / HASHES_FILE, hashes.shape, hashes.dtype, [hashes])
    print(f"{name}: ONNX and PyTorch differ by at most {difference:.1g} on the test rows")


def write_description(
    folder: Path, name: str, params: Params, info: Info, training_set: SetFigures
) -> None:
    """Write what is known of the model, for programs and for people."""
    description = describe_model(name, params, info, training_set)
    write_json(folder / DESCRIPTION_FILE, description)

    leakage = read_leakage()
    sample_note = describe_sample(params.data.raw)
    card = render_card(description, leakage.sentence, leakage.warning or "", sample_note)
    write_bytes(folder / CARD_FILE, card)


if __name__ == "__main__":
    run_stage(main)
