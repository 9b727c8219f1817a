"""Print the last runs of stages: when, how long, and which params had changed."""

from collections.abc import Sequence
from difflib import get_close_matches

from mri_stages.config.loading import read_text
from mri_stages.config.param_changes import ChangedParam
from mri_stages.config.run_history import StageRun, read_history
from mri_stages.console import OneLineParser, align_columns, format_count, list_some
from mri_stages.errors import ArgumentError, InputError

N_RUNS = 20
MAX_CHANGES_LENGTH = 60  # characters; the rest of a longer text is cut
COMMIT_LENGTH = 7
MAX_HOST_LENGTH = 12
HEADER = ("ended (UTC)", "stage", "result", "s", "CPU s", "MB", "host", "commit", "changed params")
NUMBERS = ("s", "CPU s", "MB")  # columns to the right


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser(prog="mri-stages history", description=__doc__)
    parser.add_argument(
        "model", nargs="?", default="", help="only stages of this model, or a stage"
    )
    parser.add_argument("--runs", type=int, default=N_RUNS, help=f"at most; {N_RUNS} by default")
    arguments = parser.parse_args(argv)
    if arguments.runs < 1:
        raise ArgumentError(f"--runs {arguments.runs}: expected 1 or more")

    runs = read_history()
    if not runs:
        read_text()  # It is an error outside the project's folder.
        print("No stage has run in this workspace yet, or its history was deleted.")
        return
    selected_runs = select_runs(runs, arguments.model)
    print_runs(selected_runs[-arguments.runs :])
    n_older_runs = len(selected_runs) - arguments.runs
    if n_older_runs > 0:
        older_runs = format_count(n_older_runs, "older run")
        print(f"{older_runs}: --runs {len(selected_runs)} shows all")


def select_runs(runs: Sequence[StageRun], name: str) -> list[StageRun]:
    """Return the runs of a stage, or of all stages of a model; InputError if there are none."""
    if not name:
        return list(runs)
    selected_runs = [run for run in runs if is_run_of(run, name)]
    if not selected_runs:
        raise InputError(f"{name}: no run of it; {describe_names(runs, name)}")
    return selected_runs


def describe_names(runs: Sequence[StageRun], name: str) -> str:
    """Return the names of runs that are most like the name; where none is, the first of all."""
    names = sorted({part for run in runs for part in list_names(run)})
    similar_names = get_close_matches(name, names)
    if similar_names:
        return f"similar names are {', '.join(similar_names)}"
    groups = {list_names(run)[1] for run in runs}
    return f"expected a stage, or a model, of {list_some(sorted(groups))}"


def list_names(run: StageRun) -> list[str]:
    """Return the names of the stage, of its group (train), and of its model if it has one."""
    group, _, model = run.stage.partition("@")
    return [run.stage, group, model] if model else [run.stage, group]


def is_run_of(run: StageRun, name: str) -> bool:
    """Return whether the name is that of the stage, of its group (train), or of its model."""
    return name in list_names(run)


def print_runs(runs: Sequence[StageRun]) -> None:
    """Print a row of each run, the newest last."""
    rows = [HEADER, *(format_run(run) for run in runs)]
    number_columns = [HEADER.index(heading) for heading in NUMBERS]
    print("\n".join(align_columns(rows, number_columns)))


def format_run(run: StageRun) -> list[str]:
    """Return the cells of a row; + behind a commit means that tracked files differ from it."""
    commit, _, suffix = run.commit.partition("-")
    return [
        f"{run.time:%Y-%m-%d %H:%M}",
        run.stage,
        run.result.value,
        f"{run.seconds:.1f}",
        f"{run.cpu_seconds:.1f}",
        f"{run.peak_mb:.0f}",
        run.host[:MAX_HOST_LENGTH],
        commit[:COMMIT_LENGTH] + ("+" if suffix else ""),
        format_changes(run.changed_params, run.experiment),
    ]


def format_changes(changed_params: Sequence[ChangedParam], experiment: str) -> str:
    """Return the changed params in one text, behind the name of an experiment."""
    changes = [f"{param.name} {param.describe_values()}" for param in changed_params]
    text = ", ".join(changes)
    if experiment:
        text = f"{experiment}: {text}"
    return text if len(text) <= MAX_CHANGES_LENGTH else f"{text[: MAX_CHANGES_LENGTH - 1]}…"
