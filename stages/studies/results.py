"""Write the studies' tables, verdicts and pictures -> studies/*.csv, claims.json, plots."""

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.plotting.studies import draw_leakage_dose, draw_value_figure
from mri_stages.plotting.style import save_png
from mri_stages.plotting.text import print_missing_letters
from mri_stages.storage.files import read_csv, write_json
from mri_stages.studies.claims import judge_claims
from mri_stages.studies.leakage_dose import list_doses
from mri_stages.studies.points import LrRule, StudyName
from mri_stages.studies.records import LeakageRun, Summary, write_records
from mri_stages.studies.summary import StudyRuns, read_study_runs, summarise_studies


def main() -> None:
    params = read_params()
    runs = read_study_runs(params)
    write_records(paths.STUDY_SUMMARY, Summary, summarise_studies(runs))
    write_claims(runs)
    print_missing_letters(params.data.title)
    draw_leakage(params)
    draw_learning_rates(params, runs)
    draw_batch_sizes(params, runs)


def write_claims(runs: StudyRuns) -> None:
    claims = judge_claims(runs)
    write_json(paths.CLAIMS, {"claims": [claim.model_dump() for claim in claims]})
    for claim in claims:
        print(f"{claim.question} {claim.claim}: {claim.verdict}")


def draw_leakage(params: Params) -> None:
    study = params.studies.leakage
    runs = []
    for dose in list_doses(study):
        runs += read_csv(dose.path, LeakageRun, least=0)  # none without subject ids
    figure = draw_leakage_dose(runs, f"{params.data.title}, {study.model}")
    save_png(paths.STUDY_PLOTS / "leakage.png", figure)


def draw_learning_rates(params: Params, runs: StudyRuns) -> None:
    model = params.studies.learning_rate.model
    curves = {model: runs.learning_rate}
    axis_label = f"learning rate of {model}"
    figure = draw_value_figure(curves, StudyName.LEARNING_RATE, axis_label, params.data.title)
    save_png(paths.STUDY_PLOTS / "learning_rate.png", figure)


def draw_batch_sizes(params: Params, runs: StudyRuns) -> None:
    curves = {
        "fixed learning rate": runs.batch_size[LrRule.FIXED],
        "in proportion to the batch": runs.batch_size[LrRule.LINEAR],
    }
    axis_label = f"batch size of {params.studies.batch_size.model}"
    figure = draw_value_figure(curves, StudyName.BATCH_SIZE, axis_label, params.data.title)
    save_png(paths.STUDY_PLOTS / "batch_size.png", figure)


if __name__ == "__main__":
    run_stage(main)
