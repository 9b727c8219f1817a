"""Write the studies' tables, verdicts and pictures -> studies/*.csv, claims.json, plots."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from statistics import mean

from scipy.stats import ttest_ind

from src import paths
from src.cli import run
from src.evaluation.comparison import LEVEL, holm
from src.params import read_params
from src.plotting.style import save_png
from src.storage.files import read_csv, write_csv, write_json
from src.studies.claims import verdicts
from src.studies.dose import LeakageRun
from src.studies.figures import leakage_figure, seed_figure, value_figure
from src.studies.runs import Difference, Summary, by_value, numbers, read_studies, summaries


def main() -> None:
    params = read_params()
    studies, title = params.studies, params.data.title
    runs = read_studies(studies)
    models = by_value(runs["seed"], "model")
    accuracies = {name: numbers(group, "held_out_accuracy") for name, group in models.items()}
    write_csv(paths.STUDY_SUMMARY, Summary._fields, summaries(runs))
    write_csv(paths.STUDY_DIFFERENCES, Difference._fields, model_differences(accuracies))
    found = verdicts(runs)
    write_json(paths.CLAIMS, asdict(found))
    for claim in found.claims:
        print(f"{claim.question} {claim.claim}: {claim.verdict}")
    files = [paths.study_runs("leakage", v) for v in (*studies.leakage.shares, "permuted")]
    doses = [run for file in files for run in read_csv(file, LeakageRun, least=0)]
    rates, sizes = studies.learning_rate.model, studies.batch_size.model
    by_rate = {rates: runs["learning_rate"]}
    by_size = {"fixed learning rate": runs["fixed"], "in proportion to the batch": runs["linear"]}
    figures = {
        "seed": seed_figure(models, title),
        "leakage": leakage_figure(doses, f"{title}, {studies.leakage.model}"),
        "learning_rate": value_figure(by_rate, "lr", f"learning rate of {rates}", title),
        "batch_size": value_figure(by_size, "batch_size", f"batch size of {sizes}", title),
    }
    for name, figure in figures.items():
        save_png(paths.STUDY_PLOTS / f"{name}.png", figure)


def model_differences(accuracies: Mapping[str, Sequence[float]]) -> list[Difference]:
    """Return, for each pair of models: their mean accuracies, p, and whether p < 0.05.

    p is from Welch's t test, Holm-corrected over the pairs: how often would seeds alone set two
    models so far apart on the same held-out rows? It does not say what other rows would show.
    """
    pairs = list(combinations(accuracies.items(), 2))
    corrected = holm([welch(first, second) for (_, first), (_, second) in pairs])
    return [
        Difference(name, other, mean(first), mean(second), p, p < LEVEL)
        for ((name, first), (other, second)), p in zip(pairs, corrected, strict=True)
    ]


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    """Return p; 1 with one seed, or where no seed moves either: no variation to compare with."""
    if min(len(a), len(b)) < 2 or len({*a}) == len({*b}) == 1:
        return 1.0
    return float(ttest_ind(a, b, equal_var=False).pvalue)


if __name__ == "__main__":
    run(main)
