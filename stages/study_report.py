"""The studies' page: the luck of a start, learning rates, batch sizes, and the claims judged."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.cli import run
from src.files import read_csv, read_json, write_bytes
from src.page import Listing, Picture, Section, Table, page
from src.params import PATH, read_params

STUDIES = Path("studies")
OUT = STUDIES / "report.html"
SHOWN = ("held_out_accuracy", "train_accuracy", "gap", "train_loss", "steps_to_90", "largest_rise")
CURVATURE = ("noise_scale_start", "noise_scale_end", "sharpness")

Measures = dict[str, dict[str, str]]  # a row of summary.csv by measure
Summary = defaultdict[str, defaultdict[str, Measures]]  # by study and value


def main() -> None:
    studies = read_params().studies
    summary: Summary = defaultdict(lambda: defaultdict(dict))
    for row in read_csv(STUDIES / "summary.csv"):
        summary[row["study"]][row["value"]][row["measure"]] = row
    claims = read_json(STUDIES / "claims.json")["claims"]
    verdicts = [row["verdict"] for row in claims]
    lead = [
        f"Of the notebook's {len(claims)} claims {verdicts.count('holds')} hold here, "
        f"{verdicts.count('does not hold')} do not, and {verdicts.count('not decided here')} are "
        "not decided here, each by the rule that stands beside it.",
        "Accuracies are on training rows that were held out (by subject where the data names "
        "subjects), never on the test rows. Each cell is a mean over seeds, with their standard "
        "deviation.",
    ]
    sections = [
        Section(
            "The luck of a start",
            [
                picture("seed.png", "Held-out accuracy of each model and seed"),
                values_table("Models over seeds", "model", summary["seed"], SHOWN),
                *([differences_table()] if len(studies.seed.models) > 1 else []),
            ],
        ),
        Section(
            "Learning rate (Q1)",
            [
                picture("learning_rate.png", "What the learning rate changes, a point a seed"),
                values_table(
                    f"{studies.learning_rate.model} by learning rate",
                    "lr",
                    summary["learning_rate"],
                    (*SHOWN, *CURVATURE),
                ),
                claims_table([row for row in claims if row["question"] == "Q1"]),
            ],
        ),
        Section(
            "Batch size (Q2)",
            [
                picture("batch_size.png", "What the batch size changes, a point a seed"),
                *(
                    values_table(
                        f"{studies.batch_size.model} by batch size, learning rate {rule}",
                        "batch_size",
                        summary[study],
                        (*SHOWN, *CURVATURE),
                    )
                    for study, rule in (("fixed", "fixed"), ("linear", "in proportion"))
                ),
                throughput_table(),
                claims_table([row for row in claims if row["question"] == "Q2"]),
            ],
        ),
        Section("Made from", [Listing(PATH.read_text(encoding="utf-8"))]),
    ]
    write_bytes(OUT, page("Brain-MRI slices: studies", lead, sections).encode())
    print(f"wrote {OUT}")


def picture(name: str, alt: str) -> Picture:
    return Picture((STUDIES / "plots" / name).read_bytes(), alt)


def values_table(
    caption: str, key: str, values: Mapping[str, Measures], measures: tuple[str, ...]
) -> Table:
    """A line a value: mean and deviation of each measure, and how many cells diverged."""
    return Table(
        caption,
        (key, *measures, "diverged"),
        [
            (
                value,
                *(spread(of[measure]) for measure in measures),
                next(iter(of.values()))["diverged"],
            )
            for value, of in values.items()
        ],
    )


def spread(row: dict[str, str]) -> str:
    """Mean and deviation as text; how many cells have no number, if some have none."""
    if not row["mean"]:
        return "-"
    text = f"{float(row['mean']):.3g}"
    if row["sd"]:
        text += f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{float(row['sd']):.2g}"
    return text + (f" ({row['without']} without)" if int(row["without"]) else "")


def differences_table() -> Table:
    return Table(
        "Pairs of models: mean held-out accuracy; p by Welch's t test over seeds, corrected (Holm)",
        ("first", "second", "of first", "of second", "p", "larger than the luck of a start"),
        [
            (
                row["model"],
                row["other"],
                float(row["held_out_accuracy"]),
                float(row["other_held_out_accuracy"]),
                float(row["p"]),
                row["larger_than_luck"] == "True",
            )
            for row in read_csv(STUDIES / "model_differences.csv")
        ],
    )


def throughput_table() -> Table:
    runs = read_json(STUDIES / "throughput.json")["runs"]
    return Table(
        "Speed and memory of training on all training rows, none held out, measured in one run "
        "(they differ from run to run)",
        ("batch_size", "images a second", "peak memory, MB", "device"),
        [
            (
                run["batch_size"],
                round(run["images_per_second"]),
                run["peak_memory_mb"],
                run["device"],
            )
            for run in runs
        ],
    )


def claims_table(claims: list[dict[str, Any]]) -> Table:
    return Table(
        "The notebook's claims",
        ("claim", "verdict", "rule", "figures"),
        [
            (
                row["claim"],
                row["verdict"],
                row["rule"]
                + (f" Would decide: {row['would_decide']}" if "would_decide" in row else ""),
                in_words(row["figures"]),
            )
            for row in claims
        ],
    )


def in_words(figures: dict[str, Any]) -> str:
    """The figures of a claim as one line of text, without JSON's marks."""
    if "of" in figures:  # mean and deviation over so many seeds, and how many have no number
        texts = {key: "" if value is None else str(value) for key, value in figures.items()}
        return spread({"mean": "", "sd": "", "without": "0"} | texts)
    return "; ".join(
        f"{key.replace('_', ' ')} {in_words(value) if isinstance(value, dict) else value}"
        for key, value in figures.items()
    )


if __name__ == "__main__":
    run(main)
