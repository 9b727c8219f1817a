"""Train one value of a study with all its seeds -> studies/runs/STUDY/VALUE.csv.

`python -m stages.studies.run STUDY VALUE`, and `--lr-rule linear` for a batch size with a learning
rate in proportion to it. src/mri_stages/studies/records.py says what is measured.

A run trains on four fifths of the training rows and is scored on the fifth that is held out. The
scaler has seen mean and standard deviation of those pixels, but no label.
"""

from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.console import OneLineParser, enter_part
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.preprocessing.split_rows import load_split_rows
from mri_stages.storage.dataset import read_info
from mri_stages.studies.measure import (
    add_curvature,
    measure_run,
    run_training,
    select_labelled_images,
)
from mri_stages.studies.points import (
    LrRule,
    StudyName,
    StudyPoint,
    list_points,
    list_seeds,
    name_values_key,
)
from mri_stages.studies.records import Run, write_records
from mri_stages.training.fit import compute_shared_products

HELD_OUT_FOLDS = 5  # of the training rows; the first is held out, in all runs the same rows


def main() -> None:
    params = read_params()
    point = parse_point(params)

    info = read_info()
    rows = load_split_rows("train", info, params.data.scaled)
    folds = assign_folds(
        rows.labels, rows.subjects, HELD_OUT_FOLDS, seed=0, source="the studies' held-out rows"
    )
    train_rows = select_labelled_images(rows, folds != 0)
    held_out_rows = select_labelled_images(rows, folds == 0)

    recipe = point.build_recipe(params, len(train_rows.labels))
    runs = []
    seeds = list_seeds(params, point.study)
    products = compute_shared_products(recipe, train_rows, info) if len(seeds) > 1 else None
    for number, seed in enumerate(seeds, start=1):
        with enter_part("seed", number, len(seeds)):
            model = recipe.model_copy(update={"seed": seed})
            training = run_training(model, info, train_rows, products)
        run = measure_run(point.get_model_name(params), training, held_out_rows)
        if point.study is not StudyName.SEED:
            run = add_curvature(run, training)
        runs.append(run)
        print(f"seed {seed}: held-out accuracy {run.held_out_accuracy:.1%}", flush=True)
    write_records(point.path, Run, runs)


def parse_point(params: Params) -> StudyPoint:
    """Return the point that the command line names; InputError if params.yaml lacks it."""
    parser = OneLineParser(prog="python -m stages.studies.run")
    parser.add_argument("study", choices=[study.value for study in StudyName])
    parser.add_argument("value", help="one of the study's values (seed: models) in params.yaml")
    parser.add_argument(
        "--lr-rule",
        choices=[rule.value for rule in LrRule],
        default=LrRule.FIXED.value,
        help="of a batch size: the model's own learning rate, or one in proportion to the batch",
    )
    arguments = parser.parse_args()
    study = StudyName(arguments.study)
    lr_rule = LrRule(arguments.lr_rule)
    if lr_rule is LrRule.LINEAR and study is not StudyName.BATCH_SIZE:
        parser.error(f"--lr-rule is {lr_rule}, which only {StudyName.BATCH_SIZE} takes")

    # DVC passes a value as Python prints it.
    points = {str(point.value): point for point in list_points(params, study, lr_rule)}
    if arguments.value not in points:
        parser.error(
            f"{name_values_key(study)} in params.yaml has no {arguments.value!r}, "
            f"expected one of {', '.join(points)}"
        )
    return points[arguments.value]


if __name__ == "__main__":
    run_stage(main)
