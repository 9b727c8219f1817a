"""The stages of the pipeline, and what each of them depends on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mri_stages.errors import InputError

LOAD = "load"  # the stage that reads the raw folder


@dataclass(frozen=True)
class StageGraph:
    """Stages in the order of dvc.yaml, each with the stages whose outs it reads."""

    deps: Mapping[str, frozenset[str]]
    remote: frozenset[str] = frozenset()
    """The stages that may run on another machine: `meta: {remote: true}` in dvc.yaml."""
    models: Mapping[str, str] = field(default_factory=dict)
    """The model of each stage that belongs to one: `meta: {model: NAME}`."""
    partial: frozenset[str] = frozenset()
    """The stages that go on without the models that have no result: `meta: {partial: true}`."""
    outs: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """The files and folders that each stage writes."""

    def restrict(self, stages: Iterable[str]) -> "StageGraph":
        """Return the part of the graph that holds `stages` and nothing else."""
        kept = frozenset(stages)
        deps = {stage: deps for stage, deps in self.deps.items() if stage in kept}
        return replace(self, deps=deps, remote=self.remote & kept)

    def collect_ancestors(self, stages: Iterable[str]) -> set[str]:
        """Return `stages` and all that they depend on, directly or through another stage."""
        ancestors = set[str]()
        unseen = set(stages)
        while unseen:
            ancestors |= unseen
            direct_deps = set[str]().union(*(self.deps[stage] for stage in unseen))
            unseen = direct_deps - ancestors
        return ancestors

    def collect_descendants(self, stages: Iterable[str]) -> set[str]:
        """Return `stages` and all that depend on them, directly or through another stage."""
        sources = set(stages)
        return {stage for stage in self.deps if sources & self.collect_ancestors([stage])}

    def select(self, names: Sequence[str]) -> "StageGraph":
        """Return the named stages and all that they depend on.

        A name is a stage (`report`, `train@resnet`, `studies/dvc.yaml:seed@conv_nn2`) or a group of
        them (`train`). Without names: all of dvc.yaml. InputError for a name that no stage has.
        """
        if not names:
            # Only the stages of another file have that file in their name.
            stages = {stage for stage in self.deps if ":" not in stage}
        else:
            stages = set[str]().union(*(self._find_stages(name) for name in names))
        return self.restrict(self.collect_ancestors(stages))

    def select_sendable(self) -> set[str]:
        """Return the stages to send to workers: all may start as soon as their inputs are here.

        A remote stage that reads the outs of another remote stage is not among them.
        """
        sendable = set[str]()
        for stage in self.remote:
            ancestors = self.collect_ancestors([stage]) - {stage}
            if not ancestors & self.remote:
                sendable.add(stage)
        return sendable

    def _find_stages(self, name: str) -> set[str]:
        stages = {stage for stage in self.deps if stage == name or stage.startswith(f"{name}@")}
        if not stages:
            groups = dict.fromkeys(stage.partition("@")[0] for stage in self.deps)
            raise InputError(f"{name}: no such stage, expected one of {', '.join(groups)}")
        return stages
