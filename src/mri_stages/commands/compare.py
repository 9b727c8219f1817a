"""Compare two experiments or commits: the params that differ, and the figures of each model.

A and B are what Git or DVC resolves (an experiment, a branch, a tag, a short hash), or `workspace`.
Nothing is checked out and nothing runs. A model with the same figures in both is only named.
"""

import argparse
import asyncio
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from mri_stages import paths
from mri_stages.config.param_changes import ChangedParam, compare_params, format_param
from mri_stages.config.schema import RESERVED_NAMES
from mri_stages.console import OneLineParser, align_columns, list_some
from mri_stages.errors import ArgumentError, InputError
from mri_stages.orchestration.dvc_lock import Judgement, Provenance
from mri_stages.orchestration.dvc_revisions import Revision, read_revisions
from mri_stages.reporting.numbers import format_interval
from mri_stages.reporting.scores import (
    ACCURACY,
    AUC,
    AUC_BY_FOLD,
    BALANCED_ACCURACY,
    INTERCEPT,
    LOSS,
    NET_BENEFIT,
    SCALED_BRIER,
    SENSITIVITY,
    SLOPE,
    SPECIFICITY,
    Score,
)

LINE_WIDTH = 100
# A row is a name, and a value of each of two revisions, with two spaces between.
MAX_NAME_LENGTH = 40
MAX_CELL_LENGTH = 28
MAX_SHOWN_PARAMS = 40
NO_RESULT = "no result"
NO_FIGURE = "-"
DIVERGED = "diverged"

ALL_NEW_SCORES = (AUC, AUC_BY_FOLD, SCALED_BRIER, SLOPE, INTERCEPT, NET_BENEFIT)
NEW_SCORES = (*ALL_NEW_SCORES, SENSITIVITY, SPECIFICITY)
CLASS_SCORES = (AUC, AUC_BY_FOLD, BALANCED_ACCURACY, ACCURACY)  # where there are not two classes
GIVEN_SCORES = (AUC, LOSS, ACCURACY)
INTERVAL_KEYS = {ACCURACY: ("ci_low", "ci_high")}  # of the other scores: KEY_low and KEY_high


class Split(Enum):
    """The rows that are scored; the value is the heading."""

    NEW = "New subjects"
    GIVEN = "Given split: test rows"


@dataclass(frozen=True)
class Result:
    """What a revision has of a model on one split."""

    metrics: Mapping[str, Any]
    """The content of its file; {} where there is none, or nothing could be scored."""
    judgement: Judgement

    @property
    def is_shown(self) -> bool:
        """Whether its figures may stand in the table."""
        return bool(self.metrics) and self.judgement.provenance is Provenance.CURRENT

    @property
    def has_diverged(self) -> bool:
        """Whether the loss of its training was no number, so that it has no AUC."""
        return self.metrics.get("diverged") is True

    @property
    def state(self) -> str:
        """Return what stands in place of the figures."""
        return self.judgement.provenance.value if self.metrics else NO_RESULT


@dataclass(frozen=True)
class Comparison:
    """A model on one split, in both revisions."""

    model: str
    path: Path
    a: Result
    b: Result

    @property
    def is_equal(self) -> bool:
        """Whether both revisions have the same figures to show."""
        return self.are_shown and self.a.metrics == self.b.metrics

    @property
    def are_shown(self) -> bool:
        """Whether figures of both revisions stand side by side."""
        return self.a.is_shown and self.b.is_shown


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser(
        prog="mri-stages compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="an experiment, branch, tag, hash, or workspace")
    parser.add_argument("b", metavar="B", help="the same")
    parser.add_argument("model", nargs="*", metavar="MODEL", help="only these models or baselines")
    arguments = parser.parse_args(argv)
    if arguments.a == arguments.b:
        raise ArgumentError(f"A and B are both {arguments.a}, expected two revisions")

    a, b = asyncio.run(read_revisions([arguments.a, arguments.b]))
    check_models(arguments.model, a, b)
    # All is read before anything is printed: an error is one line.
    lines = [*describe_revisions(a, b), *describe_params(a, b)]
    lines += describe_results(a, b, arguments.model)
    print("\n".join(lines))


def check_models(names: Sequence[str], a: Revision, b: Revision) -> None:
    """Raise InputError for a model that neither revision has."""
    known_names = list_names(a, b)
    for name in names:
        if name not in known_names:
            raise InputError(
                f"{name}: neither {a.name} nor {b.name} has this model, expected one of "
                f"{', '.join(known_names)}"
            )


def list_names(a: Revision, b: Revision) -> list[str]:
    """Return the models of either params.yaml, and then the baselines and the like with metrics."""
    scored_names = list_scored_names(a, b)
    other_rows = [name for name in scored_names if name in RESERVED_NAMES]
    return [*dict.fromkeys([*list_models(a), *list_models(b), *other_rows])]


def list_removed_models(a: Revision, b: Revision) -> list[str]:
    """Return the models with metrics that neither params.yaml has: nobody removed their files."""
    names = list_names(a, b)
    return [name for name in list_scored_names(a, b) if name not in names]


def list_models(revision: Revision) -> list[str]:
    models = revision.params[paths.PARAMS.name].get("models")
    return list(models) if isinstance(models, dict) else []


def list_scored_names(a: Revision, b: Revision) -> list[str]:
    """Return the names that have a file of metrics in one revision or both."""
    return [*dict.fromkeys(path.stem for path in (*a.metrics, *b.metrics))]


def describe_revisions(a: Revision, b: Revision) -> Iterator[str]:
    rows = [(f"{label}: {clip(revision.name)}", revision.description)
            for label, revision in (("A", a), ("B", b))]  # fmt: skip
    yield from align_columns(rows)
    if a.description.partition(",")[0] == b.description.partition(",")[0]:
        yield "Both are the same commit."


# The params.


def describe_params(a: Revision, b: Revision) -> Iterator[str]:
    """Yield a table of the params that differ."""
    changes = list(list_changes(a, b))
    yield ""
    if not changes:
        yield "No param differs."
        return
    rows = [["Params that differ", "A", "B"]]
    for change in changes[:MAX_SHOWN_PARAMS]:
        values = [clip(format_param(value), MAX_CELL_LENGTH) for value in (change.old, change.new)]
        rows.append([clip(change.name), *values])
    yield from align_columns(rows)
    n_more = len(changes) - MAX_SHOWN_PARAMS
    if n_more > 0:
        yield f"and {n_more} more: dvc params diff {a.name} {b.name}"


def list_changes(a: Revision, b: Revision) -> Iterator[ChangedParam]:
    """Yield the params that differ, and the versions of packages."""
    for file, old_values in a.params.items():
        new_values = b.params[file]
        prefix = "" if file == paths.PARAMS.name else f"{file}: "
        for change in compare_params("", dict(old_values), dict(new_values)):
            name = f"{prefix}{change.name.removeprefix('.')}"
            yield ChangedParam(name=name, old=change.old, new=change.new)


def clip(text: str, max_length: int = MAX_NAME_LENGTH) -> str:
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def wrap(text: str) -> str:
    """Return a sentence in lines that are no longer than the tables."""
    return textwrap.fill(text, LINE_WIDTH, subsequent_indent="  ", break_on_hyphens=False)


# The figures.


def describe_results(a: Revision, b: Revision, models: Sequence[str]) -> Iterator[str]:
    """Yield a table per split, and notes on what the figures leave out.

    models: those that are shown; none: all whose figures differ.
    """
    shown: list[Comparison] = []
    equal_names: dict[str, None] = {}
    for split in Split:
        comparisons = compare_models(a, b, split, models)
        if not models:
            equal_names |= dict.fromkeys(item.model for item in comparisons if item.is_equal)
            comparisons = [item for item in comparisons if not item.is_equal]
        if comparisons:
            yield ""
            yield from align_columns(list_rows(split, comparisons))
        shown += comparisons

    different_names = {comparison.model for comparison in shown}
    equal_names = dict.fromkeys(name for name in equal_names if name not in different_names)
    if equal_names:
        yield ""
        yield wrap(f"The same in both: {', '.join(equal_names)}")
    removed_models = [] if models else list_removed_models(a, b)
    if removed_models:
        yield ""
        yield wrap(f"Left out, in neither params.yaml: {list_some(removed_models)}")
    notes = list(describe_notes(a, b, shown))
    if notes:
        yield ""
        yield from (wrap(note) for note in notes)


def compare_models(
    a: Revision, b: Revision, split: Split, models: Sequence[str]
) -> list[Comparison]:
    """Return the models with metrics on a split in one revision or both.

    The given split is left out for a model whose figures of new subjects stand side by side.
    """
    comparisons = []
    for name in models or list_names(a, b):
        comparison = compare_files(name, paths.new_subject_metrics(name), a, b)
        if split is Split.GIVEN:
            if comparison.are_shown:
                continue
            comparison = compare_files(name, paths.metrics(name), a, b)
        if comparison.a.metrics or comparison.b.metrics:
            comparisons.append(comparison)
    return comparisons


def compare_files(model: str, path: Path, a: Revision, b: Revision) -> Comparison:
    """Return what both revisions have of a file of metrics."""
    return Comparison(model, path, read_result(a, path), read_result(b, path))


def read_result(revision: Revision, path: Path) -> Result:
    """Return what a revision has of a file of metrics; InputError if it is not a JSON object."""
    if path not in revision.metrics:
        return Result({}, Judgement(Provenance.UNLOCKED))
    try:
        metrics = json.loads(revision.metrics[path])
    except ValueError as error:
        raise InputError(f"{revision.name}: {path}: {error}, expected JSON") from None
    if not isinstance(metrics, dict):
        raise InputError(f"{revision.name}: {path}: expected an object of figures")
    return Result(metrics, revision.judge_metrics(path))


def list_rows(split: Split, comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Return a row per score of each model; one row where a revision has no figures."""
    rows = [[split.value, "A", "B"]]
    for comparison in comparisons:
        rows.append([clip(comparison.model)])
        results = (comparison.a, comparison.b)
        scores = select_scores(split, comparison)
        if not comparison.are_shown:
            scores = scores[:1]
        for score in scores:
            cells = [format_figure(result, score) for result in results]
            rows.append([f"  {score.heading}", *cells])
    return rows


def select_scores(split: Split, comparison: Comparison) -> list[Score]:
    """Return the scores that one revision or both have."""
    scores: Sequence[Score] = GIVEN_SCORES
    if split is Split.NEW:
        is_two_class = any(
            SCALED_BRIER.key in result.metrics for result in (comparison.a, comparison.b)
        )
        scores = NEW_SCORES if is_two_class else CLASS_SCORES
    known_keys = comparison.a.metrics.keys() | comparison.b.metrics.keys()
    if comparison.a.has_diverged or comparison.b.has_diverged:
        known_keys |= {AUC.key}
    return [score for score in scores if score.key in known_keys]


def format_figure(result: Result, score: Score) -> str:
    """Return a figure with its interval, if it has one; or why there is no figure."""
    if not result.is_shown:
        return result.state
    if score is AUC and result.has_diverged:
        return DIVERGED
    metrics = result.metrics
    value = get_number(metrics, score.key)
    if value is None:
        return NO_FIGURE
    low_key, high_key = INTERVAL_KEYS.get(score, (f"{score.key}_low", f"{score.key}_high"))
    return format_interval(value, get_number(metrics, low_key), get_number(metrics, high_key))


def get_number(metrics: Mapping[str, Any], key: str) -> float | None:
    """Return a figure; None where the file has none, as files of other versions may."""
    value = metrics.get(key)
    return float(value) if isinstance(value, int | float) else None


# What the figures leave out.


def describe_notes(a: Revision, b: Revision, comparisons: Sequence[Comparison]) -> Iterator[str]:
    for label in ("A", "B"):
        yield from describe_faults(label, comparisons)
        yield from describe_missing_scores(label, comparisons)
    pairs = [comparison for comparison in comparisons if comparison.are_shown]
    if not pairs:
        return
    yield from describe_differences(a, b, pairs)
    yield "An interval is of one figure. Whether B is better than A is not tested here."


def select_result(comparison: Comparison, label: str) -> Result:
    return comparison.a if label == "A" else comparison.b


def describe_faults(label: str, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield why figures of a revision are not shown: stages with the same fault in one line."""
    stages_by_fault: dict[str, dict[str, None]] = {}
    for comparison in comparisons:
        result = select_result(comparison, label)
        if result.metrics and not result.is_shown:
            stages = stages_by_fault.setdefault(result.judgement.fault, {})
            stages[result.judgement.stage] = None
    for fault, stages in stages_by_fault.items():
        subject = f"{list_some(stages)} {fault}".strip()  # a file alone has no stage
        yield f"{label}: {subject}"


def describe_missing_scores(label: str, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield the scores that the files of one revision lack, and those of the other have."""
    missing_keys: dict[str, None] = {}
    for comparison in comparisons:
        result = select_result(comparison, label)
        other = select_result(comparison, "B" if label == "A" else "A")
        if not comparison.are_shown or result.has_diverged:
            continue
        is_new = comparison.path.parent == paths.new_subject_metrics(comparison.model).parent
        for score in (*NEW_SCORES, *CLASS_SCORES) if is_new else GIVEN_SCORES:
            if score.key in other.metrics and score.key not in result.metrics:
                missing_keys[score.key] = None
    if missing_keys:
        yield f"{label}: its metrics have no {', '.join(missing_keys)}"


def describe_differences(
    a: Revision, b: Revision, comparisons: Sequence[Comparison]
) -> Iterator[str]:
    """Yield what else differs between figures that stand side by side."""
    for path, meaning in ((paths.FLAT, "images"), (paths.ASSIGNMENT, "folds")):
        hashes = [revision.find_hash(path) for revision in (a, b)]
        if all(hashes) and hashes[0] != hashes[1]:
            yield f"A and B have other {meaning} ({path}): their figures are of other rows."

    changed_code: dict[str, None] = {}
    for comparison in comparisons:
        old_code = a.collect_code(comparison.path)
        new_code = b.collect_code(comparison.path)
        for file in sorted(old_code.keys() | new_code.keys()):
            if old_code.get(file) != new_code.get(file):
                changed_code[file] = None
    if changed_code:
        yield f"They ran with other code: {list_some(changed_code)}"
