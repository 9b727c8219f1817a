"""The pictures that set the models side by side. Mappings are by the model's name."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, product
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mri_stages.config.schema import BASELINES
from mri_stages.plotting.style import (
    BLUE,
    DIVERGED_COLOUR,
    ORANGE,
    PALETTE,
    REFERENCE_COLOUR,
    draw_sentence,
)
from mri_stages.storage.history import Epoch
from mri_stages.storage.records import Estimate, Metrics, RocPoint

# Combined with the colours, so that there are more than the palette has.
LINE_STYLES = tuple(product(("-", "-.", ":"), PALETTE))
MARKER_STYLES = tuple(product("os^vD", PALETTE))

MAX_SHOWN_LOSS = 1e3  # a curve above it needs no number
MAX_ROC_COLUMNS = 4
GIVEN_SPLIT_OFFSET = 0.25  # rows below the interval of the same model
CROSS_DISTANCE = 0.06  # of two crosses above the panel, in heights of the panel
MAX_LINE_LENGTH = 100  # characters of a title

DASHED: dict[str, Any] = {"color": REFERENCE_COLOUR, "linestyle": "--", "zorder": 0}
TEXT: dict[str, Any] = {"fontsize": 9, "va": "center"}

MetricsByModel = Mapping[str, Metrics]
Histories = Mapping[str, Sequence[Epoch]]


class Score(NamedTuple):
    """A figure that `draw_intervals` shows in a panel."""

    label: str
    select: Callable[[Metrics], Estimate]


ACCURACY = Score("accuracy", lambda metrics: metrics.accuracy_estimate)
AUC = Score("AUC", lambda metrics: metrics.auc_estimate)


def draw_intervals(
    metrics: MetricsByModel,
    scores: Sequence[Score],
    title: str,
    note: str,
    given: MetricsByModel | None = None,
) -> Figure:
    """Return a panel per score, with each model's figure and its 95 % confidence interval.

    The dashed line is the figure of `metrics["majority"]`. given: the metrics on the given split,
    which are shown beside those on new subjects.
    """
    size = (4.6 * len(scores) + 3, 1.7 + 0.45 * len(metrics))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for axes, score in zip(panels, scores, strict=True):
        for row, (name, model_metrics) in enumerate(metrics.items()):
            given_metrics = None if given is None else given.get(name)
            _draw_interval(axes, row, name, score, model_metrics, given_metrics)

        constant = score.select(metrics["majority"]).value
        axes.axvline(math.nan if constant is None else constant, **DASHED)
        first_on_top = (len(metrics) - 0.4, -0.6)
        axes.set(xlim=(0, 1), ylim=first_on_top, xlabel=score.label)
        axes.grid(axis="x", alpha=0.3)

    panels[0].set_yticks(range(len(metrics)), list(metrics))
    figure.suptitle(title, parse_math=False)
    figure.supxlabel(f"{note}; dashed: a constant answer", fontsize=9)
    return figure


def _draw_interval(
    axes: Axes, row: int, name: str, score: Score, metrics: Metrics, given: Metrics | None
) -> None:
    """Draw the interval of one model, and its figures as text at the right of the panel."""
    estimate = score.select(metrics)
    text = "-" if estimate.value is None else f"{estimate.value:.3f}"
    colour = BLUE
    marker = "o"
    if name in BASELINES:
        colour = REFERENCE_COLOUR
        marker = "s"
    if metrics.diverged:
        colour = DIVERGED_COLOUR
        marker = "X"
        text = f"{text} diverged"

    if estimate.value is not None:
        interval: list[Any] = [estimate.low, estimate.high]
        axes.plot(interval, [row, row], color=colour, linewidth=2)
        axes.plot(estimate.value, row, marker, color=colour, markersize=8, clip_on=False)

    given_value = None if given is None else score.select(given).value
    if given_value is not None:
        hollow: dict[str, Any] = {"mec": ORANGE, "mfc": "none", "mew": 1.5}
        axes.plot(given_value, row + GIVEN_SPLIT_OFFSET, "D", **hollow, clip_on=False)
        text = f"{text} ({given_value:.3f})"
    axes.text(1.03, row, text, transform=axes.get_yaxis_transform(), **TEXT)


def draw_roc_curves(
    curves: Mapping[str, Sequence[RocPoint]], metrics: MetricsByModel, title: str
) -> Figure:
    """Return the ROC curves of each model, one small panel per model, one line per class."""
    n_columns = min(MAX_ROC_COLUMNS, len(curves))
    n_rows = math.ceil(len(curves) / n_columns)
    figure = Figure(figsize=(2.3 * n_columns + 1.6, 2.3 * n_rows + 1), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(curves) :]:
        axes.set_axis_off()

    class_names = _list_class_names(curves)
    for axes, (model, points) in zip(panels, curves.items(), strict=False):
        _draw_roc_panel(axes, points, class_names)
        panel_title = model
        if not points:
            reason = "diverged" if metrics[model].diverged else "no curve"
            panel_title = f"{model}: {reason}"
        axes.set_title(panel_title, fontsize=9)

    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside right upper",
        title="positive class",
        fontsize=9,
        title_fontsize=9,
    )
    figure.suptitle(title, parse_math=False)
    figure.supxlabel("false positive rate", fontsize=9)
    figure.supylabel("true positive rate", fontsize=9)
    return figure


def _list_class_names(curves: Mapping[str, Sequence[RocPoint]]) -> list[str]:
    """Return the positive classes of all curves, each once, in order of appearance."""
    names: dict[str, None] = {}
    for points in curves.values():
        names.update(dict.fromkeys(point.name for point in points))
    return list(names)


def _draw_roc_panel(axes: Axes, points: Sequence[RocPoint], class_names: Sequence[str]) -> None:
    """Draw the curve of each class; a class without points still has its line in the legend."""
    axes.plot([0, 1], [0, 1], color=REFERENCE_COLOUR, linestyle=":")
    for name, (line_style, colour) in zip(class_names, cycle(LINE_STYLES), strict=False):
        class_points = [point for point in points if point.name == name]
        axes.plot(
            [point.false_positive_rate for point in class_points],
            [point.true_positive_rate for point in class_points],
            linestyle=line_style,
            color=colour,
            label=name,
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")


def draw_histories(histories: Histories, metrics: MetricsByModel, title: str) -> Figure:
    """Return loss and accuracy of each model by epoch: training, and dashed validation.

    A cross above the panel marks a training that ended without a loss.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(2, 1, sharex=True)
    n_crosses = 0
    for (name, history), (marker, colour) in zip(
        histories.items(), cycle(MARKER_STYLES), strict=False
    ):
        line = {"color": colour, "marker": marker, "markersize": 4}
        has_loss = not math.isnan(history[-1].train_loss)
        _draw_training(loss_axes, accuracy_axes, history, line, name if has_loss else "")
        if history[0].validation_loss is not None:
            _draw_validation(loss_axes, accuracy_axes, history, line, f"{name}, validation")
        if not has_loss:
            n_crosses += 1
            end = "diverged" if metrics[name].diverged else "loss of NaN after the epoch kept"
            cross_height = 1 + n_crosses * CROSS_DISTANCE
            _draw_crosses(
                loss_axes, accuracy_axes, history[-1], cross_height, colour, f"{name}, {end}"
            )

    loss_axes.set(yscale="log", ylabel="loss (log scale)")
    loss_axes.margins(y=0.02)
    if loss_axes.get_ylim()[1] > MAX_SHOWN_LOSS:  # the first loss of a diverging run can be 1e29
        loss_axes.set_ylim(top=MAX_SHOWN_LOSS)
    title_height = 1 + n_crosses * CROSS_DISTANCE + 0.03
    loss_axes.set_title(f"{title}: training of each model", y=title_height, parse_math=False)
    accuracy_axes.set(ylim=(0, 1.02), ylabel="accuracy", xlabel="epoch")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1))
    accuracy_axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    loss_axes.grid(alpha=0.3)
    accuracy_axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=9)
    return figure


def _list_epoch_numbers(history: Sequence[Epoch]) -> list[int]:
    """Return the epochs as people count them, from 1."""
    return [epoch.epoch for epoch in history]


def _draw_training(
    loss_axes: Axes,
    accuracy_axes: Axes,
    history: Sequence[Epoch],
    line: Mapping[str, Any],
    label: str,
) -> None:
    numbers = _list_epoch_numbers(history)
    loss_axes.plot(numbers, [epoch.train_loss for epoch in history], **line)
    accuracies = [epoch.train_accuracy for epoch in history]
    accuracy_axes.plot(numbers, accuracies, **line, label=label)


def _draw_validation(
    loss_axes: Axes,
    accuracy_axes: Axes,
    history: Sequence[Epoch],
    line: Mapping[str, Any],
    label: str,
) -> None:
    numbers = _list_epoch_numbers(history)
    dashed_line: dict[str, Any] = {**line, "linestyle": "--", "markersize": 0}
    losses: list[Any] = [epoch.validation_loss for epoch in history]
    loss_axes.plot(numbers, losses, **dashed_line)
    accuracies: list[Any] = [epoch.validation_accuracy for epoch in history]
    accuracy_axes.plot(numbers, accuracies, **dashed_line, label=label)


def _draw_crosses(
    loss_axes: Axes,
    accuracy_axes: Axes,
    last_epoch: Epoch,
    height: float,
    edge_colour: str,
    label: str,
) -> None:
    """Mark the end of a training without a loss: above the losses, and at its accuracy."""
    cross: dict[str, Any] = {"color": DIVERGED_COLOUR, "mec": edge_colour, "markersize": 9}
    number = last_epoch.epoch
    panel_heights = loss_axes.get_xaxis_transform()
    loss_axes.plot(number, height, "X", **cross, transform=panel_heights, clip_on=False)
    accuracy_axes.plot(number, last_epoch.train_accuracy, "X", **cross, label=label)


def draw_learning_rates(
    groups: Sequence[Mapping[str, float]], metrics: MetricsByModel, histories: Histories, title: str
) -> Figure:
    """Return accuracy and final training loss against the learning rate, one colour per group.

    groups: names and learning rates of models that differ in nothing else.
    """
    if not groups:  # the report leaves this picture out
        return draw_sentence("No two models differ only in the learning rate")

    figure = Figure(figsize=(8, 6.4), layout="constrained")
    accuracy_axes, loss_axes = figure.subplots(2, 1, sharex=True)
    names_without_loss = []
    for group, colour in zip(groups, cycle(PALETTE), strict=False):
        for name, lr in group.items():
            loss = histories[name][-1].train_loss
            _draw_learning_rate(accuracy_axes, loss_axes, name, lr, metrics[name], loss, colour)
            if not math.isfinite(loss):
                names_without_loss.append(f"{name} (lr {lr:g})")

    if names_without_loss:
        text = f"without a finite loss: {', '.join(names_without_loss)}"
        wrapped = textwrap.fill(text, MAX_LINE_LENGTH)
        loss_axes.set_title(wrapped, fontsize=9, color=DIVERGED_COLOUR)
    accuracy_axes.set_title(title, parse_math=False)
    accuracy_axes.set(ylim=(0, 1), ylabel="test accuracy", xscale="log")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1))
    loss_axes.set(ylabel="training loss, last epoch", xlabel="learning rate (log scale)")
    loss_axes.margins(y=0.1)
    for axes in (accuracy_axes, loss_axes):
        axes.margins(x=0.18)  # room for the names
        axes.grid(alpha=0.3)
    return figure


def _draw_learning_rate(
    accuracy_axes: Axes,
    loss_axes: Axes,
    name: str,
    lr: float,
    metrics: Metrics,
    loss: float,
    colour: str,
) -> None:
    """Draw one model: its accuracy with the interval, and its loss."""
    label = name
    marker = "o"
    if metrics.diverged:
        label = f"{name}\ndiverged"
        marker = "X"
        colour = DIVERGED_COLOUR
    accuracy_axes.plot([lr, lr], [metrics.ci_low, metrics.ci_high], color=colour)
    for axes, value in ((accuracy_axes, metrics.accuracy), (loss_axes, loss)):
        axes.plot(lr, value, markersize=7, color=colour, marker=marker)
        axes.annotate(label, (lr, value), (8, 0), textcoords="offset points", **TEXT)
