"""Write the studies' tables, verdicts and pictures -> studies/*.csv, claims.json, plots."""

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.plotting.studies import leakage_figure, value_figure
from mri_stages.plotting.style import save_png
from mri_stages.storage.files import read_csv, write_csv, write_json
from mri_stages.studies.claims import verdicts
from mri_stages.studies.leakage_dose import LeakageRun
from mri_stages.studies.measure import Summary, read_studies, summaries


def main() -> None:
    params = read_params()
    studies, title = params.studies, params.data.title
    runs = read_studies(studies)
    write_csv(paths.STUDY_SUMMARY, Summary._fields, summaries(runs))
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
    save_png(plots / "leakage.png", leakage_figure(doses, f"{title}, {studies.leakage.model}"))
    save_png(plots / "learning_rate.png", value_figure(by_rate, "lr", of_rates, title))
    save_png(plots / "batch_size.png", value_figure(by_size, "batch_size", of_sizes, title))


if __name__ == "__main__":
    run_stage(main)
