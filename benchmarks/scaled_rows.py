"""Measure scaled rows that are saved against rows that are scaled on the fly, on colour images.

`python -m benchmarks.scaled_rows --images 6000` draws smooth colour images, imports them, and runs
the stages that read scaled rows with both values of `data.scaled`. Prints the seconds of each, the
peak of its own memory and the bytes of the scaled rows, and compares the results byte by byte.
"""

import sys
from pathlib import Path

from benchmarks.images import make_workspace_of_images, show
from benchmarks.machine import describe_machine
from benchmarks.processes import measure_module
from benchmarks.workspace import count_bytes, edit_params

MODEL = "simple_nn2"  # its steps are the shortest, so that scaling is the largest share of them
PREPARATION = ("load", "assign_folds")
STAGES = (("scale",), ("train", MODEL), ("evaluate", MODEL), ("cross_validate", MODEL))
RESULTS = (f"models/{MODEL}.safetensors", f"metrics/{MODEL}.json", f"data/folds/{MODEL}.csv")


def main() -> None:
    with make_workspace_of_images() as folder:
        print(describe_machine().model_dump_json())
        measure_module(folder, "mri_stages.__main__", "import", "set")
        for stage in PREPARATION:
            measure_module(folder, f"stages.{stage}")

        saved = measure_stages(folder, "saved")
        on_the_fly = measure_stages(folder, "on_the_fly")
    if on_the_fly != saved:
        sys.exit("error: the results differ")
    print("the results have the same bytes")


def measure_stages(folder: Path, scaled: str) -> list[bytes]:
    """Run the stages with this value of `data.scaled`; return the content of their results."""
    with edit_params(folder) as params:
        params["data"]["scaled"] = scaled

    print(f"{scaled:16} {'seconds':>8} {'own memory, MB':>15}")
    for stage, *model in STAGES:
        show(stage, measure_module(folder, f"stages.{stage}", *model))
    print(f"data/scaled: {count_bytes(folder / 'data/scaled') / 1e6:.0f} MB")
    return [(folder / result).read_bytes() for result in RESULTS]


if __name__ == "__main__":
    main()
