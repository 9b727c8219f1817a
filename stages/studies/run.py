"""Train one value of a study with all its seeds -> studies/runs/STUDY/VALUE.csv.

`python -m stages.studies.run STUDY VALUE`; measure.py says what is measured. The study
`linear` sets lr in proportion to the batch size, from the model's own pair (Goyal et al. 2017,
arXiv:1706.02677, without their warm-up).
"""

from functools import partial

import torch

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.console import OneLineParser
from mri_stages.errors import InputError
from mri_stages.models import make_network
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.dataset import load_scaled, read_info
from mri_stages.storage.files import write_csv
from mri_stages.studies.measure import KEYS, Run, measured_training, take
from mri_stages.training.device import set_up_device
from mri_stages.training.loop import train

HELD_OUT_FOLDS = 5  # of the training rows; the first is held out


def main() -> None:
    params, info = read_params(), read_info()
    parser = OneLineParser(prog="python -m stages.studies.run")
    parser.add_argument("study", choices=KEYS)
    parser.add_argument("value", help="one of the study's values (seed: models) in params.yaml")
    study, text = vars(parser.parse_args()).values()
    column = KEYS[study]
    group = "batch_size" if column == "batch_size" else study
    key = "models" if column == "model" else "values"
    of_group = getattr(params.studies, group)
    values = {str(value): value for value in getattr(of_group, key)}  # named as DVC names them
    if text not in values:
        lacks = f"studies.{group}.{key} in params.yaml has no {text!r}"
        parser.error(f"{lacks}, expected one of {', '.join(values)}")
    value = values[text]

    split = load_scaled("train", info)
    rows = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    fold = assign_folds(split.labels, split.subjects, HELD_OUT_FOLDS, seed=0)
    fitted, held_out = take(rows, fold != 0), take(rows, fold == 0)  # the same for all runs
    n_rows = len(fitted[1])
    name = value if column == "model" else of_group.model
    arch, recipe = params.models[name].arch, params.models[name]
    lr = value if column == "lr" else recipe.lr
    batch_size = min(recipe.batch_size, n_rows)
    if column == "batch_size":
        batch_size = n_rows if value == "all" else value
    if study == "linear":
        lr *= batch_size / recipe.batch_size
    if batch_size > n_rows:
        expected = f"expected up to {n_rows}, or all"
        raise InputError(f"params.yaml: studies.batch_size.values: {batch_size}, {expected}")

    device = set_up_device(recipe.threads)
    changes = {"lr": lr, "batch_size": batch_size, "validation": 0, "patience": None}
    curvature, found = study != "seed", []
    for seed in of_group.seeds:
        network = make_network(arch, info.image_shape, len(info.classes), seed).to(device)
        of_seed = recipe.model_copy(update=changes | {"seed": seed})
        training = partial(train, recipe=of_seed, quiet=True)
        measures = measured_training(network, fitted, held_out, training, batch_size, curvature)
        run_ = Run(model=name, seed=seed, lr=lr, batch_size=batch_size, **measures)
        found.append(list(run_.model_dump().values()))
        print(f"seed {seed}: held-out accuracy {run_.held_out_accuracy:.1%}", flush=True)
    write_csv(paths.study_runs(study, value), list(Run.model_fields), found)


if __name__ == "__main__":
    run_stage(main)
