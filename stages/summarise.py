"""Score the cross-validation of one model: `python -m stages.summarise MODEL`."""

from src import paths
from src.cli import model_argument, run
from src.evaluation.metrics import negative_label, score_new_subjects
from src.params import read_params
from src.storage.dataset import read_info
from src.storage.files import write_json
from src.storage.predictions import read_predictions


def main() -> None:
    params, info = read_params(), read_info()
    name = model_argument("summarise", params.cross_validation.models)
    negative = negative_label(params.evaluation.negative_class, info.classes)
    folds = read_predictions(paths.folds(name), info.classes)
    metrics = score_new_subjects(folds, info.classes, negative, is_model=True)
    write_json(paths.new_subject_metrics(name), metrics.to_json())
    print(f"{name}: accuracy {metrics.accuracy:.4f} by {metrics.by}")


if __name__ == "__main__":
    run(main)
