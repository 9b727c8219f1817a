"""The studies' tables (three CSV files) and pictures -> studies, studies/plots."""

from pathlib import Path

from src.cli import run
from src.files import write_csv
from src.params import read_params
from src.png import save_png
from src.study_cells import Cell, by_value, mean_and_deviation, numbers, read_cells
from src.study_figures import seed_figure, value_figure
from src.study_tests import model_differences

STUDIES = Path("studies")
KEYS = {"seed": "model", "learning_rate": "lr", "fixed": "batch_size", "linear": "batch_size"}
SUMMARISED = (
    "train_loss",
    "train_accuracy",
    "held_out_accuracy",
    "gap",
    "epochs_to_90",
    "steps_to_90",
    "largest_rise",
    "distance",
    "noise_scale_start",
    "noise_scale_end",
    "sharpness",
)


def main() -> None:
    params = read_params()
    cells = read_cells(STUDIES / "cells", params.studies)
    rows = [(name, cell) for name, study in cells._asdict().items() for cell in study]
    columns = list(dict.fromkeys(key for _, cell in rows for key in cell if key != "history"))
    write_csv(
        STUDIES / "cells.csv",
        ("study", *columns),
        [(name, *(cell.get(column, "") for column in columns)) for name, cell in rows],
    )
    write_csv(
        STUDIES / "summary.csv",
        ("study", "value", "measure", "mean", "sd", "cells", "without", "diverged"),
        [
            (name, value, measure, *summary(group, measure))
            for name, study in cells._asdict().items()
            for value, group in by_value(study, KEYS[name]).items()
            for measure in SUMMARISED
        ],
    )
    write_csv(
        STUDIES / "model_differences.csv",
        ("model", "other", "held_out_accuracy", "other_held_out_accuracy", "p", "larger_than_luck"),
        model_differences(by_value(cells.seed, "model")),
    )
    save_png(STUDIES / "plots/seed.png", seed_figure(by_value(cells.seed, "model")))
    rates, sizes = params.studies.learning_rate, params.studies.batch_size
    save_png(
        STUDIES / "plots/learning_rate.png",
        value_figure({rates.model: cells.learning_rate}, "lr", f"learning rate of {rates.model}"),
    )
    save_png(
        STUDIES / "plots/batch_size.png",
        value_figure(
            {"fixed learning rate": cells.fixed, "in proportion to the batch": cells.linear},
            "batch_size",
            f"batch size of {sizes.model}",
        ),
    )


def summary(cells: list[Cell], measure: str) -> tuple[float | str, float | str, int, int, int]:
    """Mean, deviation, cells with a number, cells without, and how many of all diverged."""
    values = numbers(cells, measure)
    average, deviation = mean_and_deviation(values)
    return (
        "" if average is None else average,
        "" if deviation is None else deviation,
        len(values),
        len(cells) - len(values),
        sum(cell["diverged"] for cell in cells),
    )


if __name__ == "__main__":
    run(main)
