"""Score the cross-validation of one model: `python -m stages.summarise MODEL`."""

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.console import parse_model_argument
from mri_stages.evaluation.metrics import compute_new_subject_metrics, find_negative_label
from mri_stages.storage.dataset import read_info
from mri_stages.storage.files import write_json
from mri_stages.storage.predictions import read_predictions


def main() -> None:
    params, info = read_params(), read_info()
    name = parse_model_argument("summarise", params.cross_validation.models)
    negative = find_negative_label(params.evaluation.negative_class, info.classes)
    folds = read_predictions(paths.folds(name), info.classes)
    metrics = compute_new_subject_metrics(folds, info.classes, negative, is_model=True)
    write_json(paths.new_subject_metrics(name), metrics.to_json())
    print(f"{name}: accuracy {metrics.accuracy:.4f} by {metrics.by}")


if __name__ == "__main__":
    run_stage(main)
