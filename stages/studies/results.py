"""Write the studies' tables, verdicts and pictures -> studies/*.csv, claims.json, plots."""

from collections.abc import Mapping, Sequence
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
    write_csv(paths.STUDY_SUMMARY, Summary._fields, summaries(runs))
    models = by_value(runs["seed"], "model")
    accuracies = {name: numbers(group, "held_out_accuracy") for name, group in models.items()}
    write_csv(paths.STUDY_DIFFERENCES, Difference._fields, model_differences(accuracies))
    claims = verdicts(runs)
    write_json(paths.CLAIMS, {"claims": [claim._asdict() for claim in claims]})
    for claim in claims:
        print(f"{claim.question} {claim.claim}: {claim.verdict}")
    files = [paths.study_runs("leakage", v) for v in (*studies.leakage.shares, "permuted")]
    doses = [run for file in files for run in read_csv(file, LeakageRun, least=0)]
    rates, sizes = studies.learning_rate.model, studies.batch_size.model
    of_rates, of_sizes = f"learning rate of {rates}", f"batch size of {sizes}"
    by_rate = {rates: runs["learning_rate"]}
    by_size = {"fixed learning rate": runs["fixed"], "in proportion to the batch": runs["linear"]}
    plots = paths.STUDY_PLOTS
    save_png(plots / "seed.png", seed_figure(models, title))
    save_png(plots / "leakage.png", leakage_figure(doses, f"{title}, {studies.leakage.model}"))
    save_png(plots / "learning_rate.png", value_figure(by_rate, "lr", of_rates, title))
    save_png(plots / "batch_size.png", value_figure(by_size, "batch_size", of_sizes, title))


def model_differences(accuracies: Mapping[str, Sequence[float]]) -> list[Difference]:
    """Return each pair of models with p of Welch's t test over seeds, Holm-corrected.

    It says nothing about other rows than these held-out ones.
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
