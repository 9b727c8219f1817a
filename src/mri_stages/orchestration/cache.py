"""What lies in the cache of a project: which stage it belongs to, and whether it is in use."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

NO_STAGE = "(no stage)"  # owns what neither a stage of now nor one of their runs wrote


@dataclass(frozen=True)
class StageObjects:
    """The objects of one stage, by their keys in the cache."""

    used: Set[str]
    """The outs as they are now."""
    written: Set[str] = frozenset()
    """The outs of all its runs in the run cache."""
    n_runs: int = 0


@dataclass(frozen=True)
class CacheContent:
    """All objects in a cache."""

    sizes: Mapping[str, int]
    """The bytes of each object."""
    used: Set[str]
    """What the workspace needs: `dvc gc --workspace` removes all else."""
    stages: Mapping[str, StageObjects] = field(default_factory=dict)
    n_unknown_runs: int = 0
    """Runs whose command no stage has now, such as those of a model that was removed."""
    unlisted_folders: Sequence[str] = ()
    """Outs that are folders whose listing is not in the cache: which files they use is unknown."""


class CacheRow(NamedTuple):
    """The part of one stage."""

    stage: str
    n_runs: int
    used_bytes: int
    unused_bytes: int

    @property
    def n_bytes(self) -> int:
        """Return all its bytes in the cache."""
        return self.used_bytes + self.unused_bytes


def list_cache_rows(content: CacheContent) -> list[CacheRow]:
    """Return a row per stage that has anything in the cache, the largest first.

    An object counts once, for the first stage that uses it, else for the first that wrote it, so
    that the sums are those of the cache. The last row is of objects that belong to no stage.
    """
    uncounted = set(content.sizes)
    used_bytes = {}
    for name, stage in content.stages.items():
        used_bytes[name] = take_bytes(stage.used & content.used, uncounted, content.sizes)
    other_used_bytes = take_bytes(content.used, uncounted, content.sizes)

    rows = []
    for name, stage in content.stages.items():
        unused_bytes = take_bytes(stage.written, uncounted, content.sizes)
        if stage.n_runs or used_bytes[name] or unused_bytes:
            rows.append(CacheRow(name, stage.n_runs, used_bytes[name], unused_bytes))
    rows.sort(key=lambda row: (-row.n_bytes, row.stage))

    other_unused_bytes = take_bytes(frozenset(uncounted), uncounted, content.sizes)
    if content.n_unknown_runs or other_used_bytes or other_unused_bytes:
        rows.append(
            CacheRow(NO_STAGE, content.n_unknown_runs, other_used_bytes, other_unused_bytes)
        )
    return rows


def take_bytes(objects: Set[str], uncounted: set[str], sizes: Mapping[str, int]) -> int:
    """Return the bytes of those objects that are not counted yet; they are counted then."""
    taken = objects & uncounted
    uncounted -= taken
    return sum(sizes[key] for key in taken)
