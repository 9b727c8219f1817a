"""Write the report: what a new subject would see, what the models learned, and from what."""

from importlib.metadata import version
from typing import Literal

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.reporting.report import (
    ReportPage,
    Results,
    build_confusion_table,
    build_results,
    describe_auc,
    list_conflict_rows,
    list_copy_rows,
    list_leakage_rows,
    render_report,
)
from mri_stages.storage.dataset import read_info
from mri_stages.storage.files import write_bytes
from mri_stages.storage.records import (
    list_missing_models,
    read_confusion,
    read_given_metrics,
    read_leakage,
    read_new_subject_metrics,
    read_pairs,
)

PICTURES = ("new_subjects", "accuracy", "roc", "leakage", "history", "learning_rate", "sample")
LISTED_PACKAGES = ("torch", "scikit-learn", "dvc")


def main() -> None:
    page = build_page(read_params())
    write_bytes(paths.REPORT, render_report(page))
    print(f"wrote {paths.REPORT}")


def build_page(params: Params) -> ReportPage:
    """Return what the report shows, read from the files of all stages before it."""
    info = read_info()
    train_counts = info.counts["train"]
    test_counts = info.counts["test"]
    given = build_given_results(params)
    new = build_new_results(params)
    models = [name for name in params.models if name in given.metrics]
    unit: Literal["subject", "row"] = "row"
    if new is not None:
        unit = new.majority.by or "row"
    leakage = read_leakage()
    return ReportPage(
        title=params.data.title,
        unit=unit,
        n_folds=params.cross_validation.folds,
        n_models=len(models),
        auc_label=describe_auc(params.evaluation.negative_class),
        new=new,
        given=given,
        leakage_warning=leakage.warning or "",
        leakage_sentence=leakage.sentence,
        leakage_rows=list_leakage_rows(leakage, sum(test_counts)),
        copy_rows=list_copy_rows(leakage),
        conflict_rows=list_conflict_rows(leakage),
        has_learning_rates=bool(params.group_models_by_lr(models)),
        confusion={
            name: build_confusion_table(read_confusion(name), info.classes) for name in models
        },
        raw_folder=params.data.raw,
        image_shape=info.image_shape,
        n_train_rows=sum(train_counts),
        n_test_rows=sum(test_counts),
        class_rows=list(zip(info.classes, train_counts, test_counts, strict=True)),
        has_numbered_classes=not all(name.isascii() for name in info.classes),
        pictures={name: (paths.PLOTS / f"{name}.png").read_bytes() for name in PICTURES},
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
        versions=[(package, version(package)) for package in LISTED_PACKAGES],
    )


def build_given_results(params: Params) -> Results:
    metrics = read_given_metrics(params)
    models = [name for name in params.models if name in metrics]
    best = max(models, key=lambda name: metrics[name].accuracy, default="")
    missing_models = list_missing_models(params.models, metrics)
    return build_results(metrics, best, missing_models, read_pairs(paths.PAIRS))


def build_new_results(params: Params) -> Results | None:
    """Return the results on new subjects; None where no folds are possible."""
    metrics = read_new_subject_metrics(params)
    if not metrics:
        return None
    best = max(metrics, key=lambda name: metrics[name].auc or 0)
    missing_models = list_missing_models(params.cross_validation.models, metrics)
    return build_results(metrics, best, missing_models, read_pairs(paths.NEW_SUBJECT_PAIRS))


if __name__ == "__main__":
    run_stage(main)
