"""Count the recipes that were scored on the folds of now: a lower bound.

What DVC remembers is asked: the run cache of this machine, and dvc.lock in the workspace and in
all commits and experiments. It is a lower bound: `dvc gc` and `dvc exp remove` forget runs, those
of other clones are not known here, and neither code nor images are looked at.
"""

import json
import re
import subprocess
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import yaml
from pydantic import ValidationError

from mri_stages import paths
from mri_stages.config.run_history import ParamsLoader
from mri_stages.config.schema import Model
from mri_stages.config.upgrade import KEYS_THAT_HELD_NONE, UPGRADE_VALUES
from mri_stages.orchestration.dvc import LOCK_FILE, ask_repo_patiently

if TYPE_CHECKING:
    from dvc.repo import Repo

MAX_LOCK_VERSIONS = 500  # the newest ones that Git has: reading more would take seconds

# In a dvc.lock: the entry of a stage. In any entry: what a stage locked of its params.
STAGE_ENTRY = re.compile(r"^  \S.*:\n(?:    .*\n)+", re.MULTILINE)
PARAMS_ENTRY = re.compile(r"^( *)params:\n(?:\1 .*\n?)+", re.MULTILINE)
FOLDS_HASH = re.compile(rf"path: {re.escape(paths.ASSIGNMENT.as_posix())}\n(?: .*\n)*? +md5: (\w+)")
PREFIX_OF_A_MODEL = "models."
PREFIX_OF_TRAINING = "train."
NO_RECIPE_KEYS = ("threads", "cuda_graphs")  # they change the last bits of a result, and no more


@dataclass(frozen=True)
class Looks:
    """What is known of the recipes that were scored on the folds of now."""

    has_folds: bool
    """Whether dvc.lock has folds."""
    n_recipes: int = 0
    has_run_cache: bool = False
    """Whether DVC's run cache has any run."""

    def describe(self) -> str:
        """Return the number in one or two sentences."""
        if not self.has_folds:
            return (
                f"How many recipes were scored on these folds is not known: {LOCK_FILE} has no "
                f"{paths.ASSIGNMENT}."
            )
        is_one = self.n_recipes == 1
        recipes = "1 recipe was" if is_one else f"{self.n_recipes} different recipes were"
        source = "DVC's run cache and Git"
        if not self.has_run_cache:
            source = "Git alone: this machine has no run cache of DVC"
        return (
            f"At least {recipes} scored on these folds (by {source}). Who takes the best of "
            "several expects too much: docs/evaluation.md."
        )


async def count_looks() -> Looks:
    """Return the number of different recipes of networks that were scored on the folds of now."""
    return await ask_repo_patiently(_count_looks, "the run cache")


def _count_looks(repo: "Repo") -> Looks:
    lock = Path(repo.root_dir, LOCK_FILE)
    lock_text = lock.read_text(encoding="utf-8", errors="replace") if lock.exists() else ""
    folds_hash = find_folds_hash(lock_text)
    if not folds_hash:
        return Looks(has_folds=False)

    run_texts = list(_read_runs(Path(repo.stage_cache.cache_dir)))
    lock_texts = [lock_text, *_read_committed_locks(repo.root_dir)]
    entries = [*run_texts, *_list_stage_entries(lock_texts, folds_hash)]
    recipes = collect_recipes(entries, folds_hash)
    return Looks(True, len(recipes), has_run_cache=bool(run_texts))


def find_folds_hash(lock_text: str) -> str:
    """Return the hash of the folds that a stage of this dvc.lock has made; "" without any."""
    for entry in STAGE_ENTRY.findall(lock_text):
        _, _, outs = entry.partition("\n    outs:\n")
        match = FOLDS_HASH.search(outs)
        if match is not None:
            return str(match[1])
    return ""


def _read_runs(folder: Path) -> Iterator[str]:
    """Yield all entries of the run cache."""
    for path in folder.glob("*/*/*"):
        if path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace")


def _read_committed_locks(project: str) -> list[str]:
    """Return the text of all versions of dvc.lock in commits and experiments; none without Git."""
    log = _call_git(
        project,
        *("log", "--all", f"--max-count={MAX_LOCK_VERSIONS}", "--format=", "--raw", "--no-abbrev"),
        *("--no-renames", "--", LOCK_FILE.name),
    )
    # A line is ":MODE MODE OLD_BLOB NEW_BLOB STATE<tab>PATH".
    blobs = [line.split()[3] for line in log.decode(errors="replace").splitlines()]
    if not blobs:
        return []
    names = "\n".join(dict.fromkeys(blobs)) + "\n"
    content = _call_git(project, "cat-file", "--batch=", stdin=names)
    return [content.decode(errors="replace")]


def _call_git(folder: str, *arguments: str, stdin: str = "") -> bytes:
    """Return what Git prints; nothing where it fails."""
    try:
        process = subprocess.run(
            ("git", *arguments), cwd=folder, input=stdin.encode(), capture_output=True
        )
    except OSError:  # There is no Git.
        return b""
    return process.stdout if process.returncode == 0 else b""


def _list_stage_entries(lock_texts: Iterable[str], folds_hash: str) -> Iterator[str]:
    """Yield the entries of dvc.lock files that name a hash."""
    for text in lock_texts:
        if folds_hash in text:
            yield from STAGE_ENTRY.findall(text)


def collect_recipes(entries: Iterable[str], folds_hash: str) -> set[str]:
    """Return the recipes of those entries whose stage trained on these folds, each as a text.

    Entries of the run cache and of dvc.lock have the same keys. A stage trained if it locked a
    model and the group `train`. An entry that is not readable, or of another layout, is left out.
    """
    params_texts = set()
    for entry in entries:
        match = PARAMS_ENTRY.search(entry) if folds_hash in entry else None
        if match is not None:
            params_texts.add(textwrap.dedent(match[0]))

    recipes = set()
    for text in params_texts:
        params = read_locked_params(text)
        train = params.get("train")
        models = [
            values for key, values in params.items() if str(key).startswith(PREFIX_OF_A_MODEL)
        ]
        if len(models) == 1 and is_group(models[0]) and is_group(train):
            recipes.add(format_recipe(train, models[0]))
    return recipes


def read_locked_params(text: str) -> dict[Any, Any]:
    """Return what `params:` of an entry says of params.yaml; {} where that is not readable."""
    try:
        params_of_files = yaml.load(text, Loader=ParamsLoader)["params"]
    except (yaml.YAMLError, ValueError, LookupError, AttributeError):  # the last two: of a tag
        return {}
    if not isinstance(params_of_files, dict):
        return {}
    params = params_of_files.get(paths.PARAMS.name)
    return params if isinstance(params, dict) else {}


def is_group(values: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether these are values by their names, as the schema has them, at any depth."""
    return isinstance(values, dict) and has_names_for_keys(values)


def has_names_for_keys(value: Any) -> bool:
    """Return whether all keys in a value are texts: others may have no order, nor be JSON."""
    if isinstance(value, dict):
        has_names = all(isinstance(name, str) for name in value)
        return has_names and all(map(has_names_for_keys, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(has_names_for_keys, value))
    return True


def format_recipe(train: dict[str, Any], model: dict[str, Any]) -> str:
    """Return a text that is equal for equal recipes, also of different versions of the project."""
    values = {
        key.removeprefix(PREFIX_OF_TRAINING): value
        for key, value in UPGRADE_VALUES.items()
        if key.startswith(PREFIX_OF_TRAINING)
    }
    values |= train | model
    for key in KEYS_THAT_HELD_NONE:
        if values[key] == "none":
            values[key] = None
    # An architecture that is removed is refused: no model of now has its recipe.
    with suppress(ValidationError):
        values = Model.model_validate(values).model_dump()
    for key in NO_RECIPE_KEYS:
        values.pop(key, None)
    if isinstance(values.get("weights"), dict):
        values["weights"].pop("file", None)  # found by its hash, which stays
    return json.dumps(values, sort_keys=True, default=str)
