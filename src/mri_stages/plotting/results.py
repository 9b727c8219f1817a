"""The pictures that set the models side by side. Mappings are by the model's name."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, cycle, product
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import Bbox

from mri_stages.config.schema import BASELINES
from mri_stages.plotting.style import (
    BLUE,
    DIVERGED_COLOUR,
    ORANGE,
    PALETTE,
    REFERENCE_COLOUR,
    draw_sentence,
)
from mri_stages.plotting.text import (
    LABEL_SIZE,
    SMALL_SIZE,
    TITLE_SIZE,
    label_names,
    measure_extra_height,
    measure_width,
    wrap_text,
)
from mri_stages.storage.history import Epoch, find_best_epoch, split_by_network
from mri_stages.storage.records import Estimate, Metrics, RocPoint

# Combined with the colours, so that there are more than the palette has.
LINE_STYLES = tuple(product(("-", "-.", ":"), PALETTE))
MARKER_STYLES = tuple(product("os^vDP*<>", PALETTE))

MAX_SHOWN_LOSS = 1e3  # a curve above it needs no number
MAX_MARKERS = 25  # of a curve; more of them hide the line
MAX_ROC_COLUMNS = 3
LEGEND_COLUMNS = 2  # below a picture
GIVEN_SPLIT_OFFSET = 0.25  # rows below the interval of the same model

# In heights of the panel of losses.
CROSS_DISTANCE = 0.06  # of two crosses above the panel
MAX_CROSS_HEIGHT = 0.48  # of all crosses; more than eight of them overlap

# Inches.
INTERVALS_WIDTH = 6.8
MAX_NAME_WIDTH = 2.2
MAX_PANEL_NAME_WIDTH = 1.25  # leaves room for ": diverged"
MAX_POINT_NAME_WIDTH = 0.8
MIN_ROC_WIDTH = 6
LR_TITLE_WIDTH = 7
LEGEND_NAME_WIDTH = 1.5  # for which the sizes of the figures have room
LEGEND_MARGIN = 0.75  # of a legend beside its names
LEGEND_LINE_HEIGHT = 0.19
PANEL_HEIGHT = 2.7  # of `draw_histories`

DASHED: dict[str, Any] = {"color": REFERENCE_COLOUR, "linestyle": "--", "zorder": 0}
TEXT: dict[str, Any] = {"fontsize": 9, "va": "center"}

KEPT_EPOCH_STYLE: dict[str, Any] = {"marker": "*", "markersize": 11, "markeredgecolor": "black"}

MetricsByModel = Mapping[str, Metrics]
Histories = Mapping[str, Sequence[Epoch]]


class Score(NamedTuple):
    """A figure that `draw_intervals` shows."""

    label: str
    select: Callable[[Metrics], Estimate]


ACCURACY = Score("accuracy", lambda metrics: metrics.accuracy_estimate)
AUC = Score("AUC", lambda metrics: metrics.auc_estimate)


def draw_intervals(
    metrics: MetricsByModel,
    score: Score,
    title: str,
    note: str,
    given: MetricsByModel | None = None,
) -> Figure:
    """Return each model's figure with its 95 % confidence interval, and a legend below.

    The dashed line is the figure of `metrics["majority"]`. note: a sentence below the title. given:
    the metrics on the given split, which are shown beside those on new subjects.
    """
    figure_title = wrap_text(title, INTERVALS_WIDTH - 0.3)
    sentence = wrap_text(note, INTERVALS_WIDTH - 0.5, SMALL_SIZE)
    height = 2.3 + 0.45 * len(metrics)
    height += measure_extra_height(figure_title) + measure_extra_height(sentence)
    figure = Figure(figsize=(INTERVALS_WIDTH, height), layout="constrained")
    axes = figure.subplots()
    handles: dict[str, Artist] = {}
    for row, (name, model_metrics) in enumerate(metrics.items()):
        given_metrics = None if given is None else given.get(name)
        handles |= _draw_interval(axes, row, name, score, model_metrics, given_metrics)

    constant = score.select(metrics["majority"]).value
    line = axes.axvline(math.nan if constant is None else constant, **DASHED)
    handles["a constant answer"] = line
    first_on_top = (len(metrics) - 0.4, -0.6)
    axes.set(xlim=(0, 1), ylim=first_on_top, xlabel=f"{score.label}, 95 % confidence interval")
    axes.grid(axis="x", alpha=0.3)
    names = label_names(list(metrics), "model", MAX_NAME_WIDTH, LABEL_SIZE)
    axes.set_yticks(range(len(metrics)), list(names.values()))
    axes.set_title(sentence, fontsize=SMALL_SIZE, parse_math=False, x=0.5)
    figure.suptitle(figure_title, parse_math=False)
    options: dict[str, Any] = {"loc": "outside lower center", "ncols": LEGEND_COLUMNS}
    figure.legend(list(handles.values()), list(handles), fontsize=SMALL_SIZE, **options)
    return figure


def _draw_interval(
    axes: Axes, row: int, name: str, score: Score, metrics: Metrics, given: Metrics | None
) -> dict[str, Artist]:
    """Draw the interval of one model, and its figures as text at the right of the panel.

    Returns the marks by what a legend calls them.
    """
    estimate = score.select(metrics)
    text = "-" if estimate.value is None else f"{estimate.value:.3f}"
    label = "network"
    style: dict[str, Any] = {"color": BLUE, "marker": "o"}
    if name in BASELINES:
        label = "baseline, without a network"
        style = {"color": REFERENCE_COLOUR, "marker": "s"}
    if metrics.diverged:
        label = "diverged"
        style = {"color": DIVERGED_COLOUR, "marker": "X"}
        text = f"{text} diverged"

    handles: dict[str, Artist] = {}
    if estimate.value is not None:
        interval: list[Any] = [estimate.low, estimate.high]
        axes.plot(interval, [row, row], color=style["color"], linewidth=2)
        (mark,) = axes.plot(estimate.value, row, **style, markersize=8, linestyle="", clip_on=False)
        handles[label] = mark

    given_value = None if given is None else score.select(given).value
    if given_value is not None:
        hollow: dict[str, Any] = {"mec": ORANGE, "mfc": "none", "mew": 1.5, "linestyle": ""}
        place = row + GIVEN_SPLIT_OFFSET
        (mark,) = axes.plot(given_value, place, "D", **hollow, clip_on=False)
        handles["on the given split (in brackets)"] = mark
        text = f"{text} ({given_value:.3f})"
    axes.text(1.03, row, text, transform=axes.get_yaxis_transform(), **TEXT)
    return handles


def draw_roc_curves(
    curves: Mapping[str, Sequence[RocPoint]],
    metrics: MetricsByModel,
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Return the ROC curves of each model, one small panel per model, one line per class.

    The legend says how many of the classes have a curve, where not all have one.
    """
    class_names = _list_class_names(curves)
    labels = _label_positive_classes(classes)
    shown_labels = [labels[name] for name in class_names]
    legend_title = "positive class"
    legend_lines = shown_labels
    note = _describe_shown_classes(class_names, classes)
    if note:
        legend_title = f"{legend_title}\n{note}"
        legend_lines = [*shown_labels, note]

    figure = _make_roc_figure(len(curves), legend_lines, title)
    n_columns = min(MAX_ROC_COLUMNS, len(curves))
    n_rows = math.ceil(len(curves) / n_columns)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(curves) :]:
        axes.set_axis_off()

    model_names = label_names(list(curves), "model", MAX_PANEL_NAME_WIDTH)
    handles: list[Artist] = []
    for axes, (model, points) in zip(panels, curves.items(), strict=False):
        handles = _draw_roc_panel(axes, points, class_names)
        panel_title = model_names[model]
        if not points:
            reason = "diverged" if metrics[model].diverged else "no curve"
            panel_title = f"{panel_title}: {reason}"
        axes.set_title(panel_title, fontsize=SMALL_SIZE)

    _add_legend(figure, handles, shown_labels, title=legend_title, title_fontsize=SMALL_SIZE)
    figure.supxlabel("false positive rate", fontsize=SMALL_SIZE)
    figure.supylabel("true positive rate", fontsize=SMALL_SIZE)
    return figure


def _make_roc_figure(n_models: int, legend_labels: Sequence[str], title: str) -> Figure:
    """Return a figure with its title, large enough for the panels and the legend beside them."""
    n_columns = min(MAX_ROC_COLUMNS, n_models)
    n_rows = math.ceil(n_models / n_columns)
    width = max(MIN_ROC_WIDTH, 2.3 * n_columns + 1.6 + _measure_extra_width(legend_labels))
    height = max(2.3 * n_rows + 1, _measure_legend_height(len(legend_labels) + 1))

    # The title stands in the middle of the figure, or of what the legend leaves.
    legend_width = _measure_legend_width(legend_labels)
    title_place = 0.5
    title_width = width - 2 * legend_width
    if measure_width(wrap_text(title, math.inf), TITLE_SIZE) > title_width:
        title_width = width - legend_width
        title_place = title_width / 2 / width
    figure_title = wrap_text(title, title_width - 0.3)

    height += measure_extra_height(figure_title)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(figure_title, x=title_place, parse_math=False)
    return figure


def _measure_legend_width(labels: Sequence[str]) -> float:
    """Return the inches that a legend of these labels takes."""
    widths = [measure_width(label, SMALL_SIZE) for label in labels]
    return max(widths, default=0) + LEGEND_MARGIN


def _measure_extra_width(labels: Sequence[str]) -> float:
    """Return the inches by which a figure must be wider than for a legend of short labels."""
    return max(0, _measure_legend_width(labels) - LEGEND_MARGIN - LEGEND_NAME_WIDTH)


def _measure_legend_height(n_lines: int) -> float:
    return LEGEND_LINE_HEIGHT * n_lines + 0.3


def _add_legend(
    figure: Figure, handles: Sequence[Artist], labels: Sequence[str], **options: Any
) -> None:
    """Add a legend beside the panels; in a label, `$` and a first `_` are letters."""
    legend = figure.legend(
        handles, labels, loc="outside right upper", fontsize=SMALL_SIZE, **options
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _list_class_names(curves: Mapping[str, Sequence[RocPoint]]) -> list[str]:
    """Return the positive classes of all curves, each once, in order of appearance."""
    names: dict[str, None] = {}
    for points in curves.values():
        names.update(dict.fromkeys(point.name for point in points))
    return list(names)


def _describe_shown_classes(class_names: Sequence[str], classes: Sequence[str]) -> str:
    """Return how many of the classes have a curve; "" where all have one, or there is one curve."""
    n_shown = len(class_names)
    if n_shown <= 1 or n_shown == len(classes):
        return ""
    are_first = list(class_names) == list(classes[:n_shown])
    return f"({'the first ' if are_first else ''}{n_shown} of {len(classes)} classes)"


def _label_positive_classes(classes: Sequence[str]) -> dict[str, str]:
    """Return what a legend shows for each class, and for any other class against it."""
    labels = label_names(classes, "class", MAX_NAME_WIDTH)
    others = {f"not {name}": f"not {label}" for name, label in labels.items()}
    return others | labels


def _draw_roc_panel(
    axes: Axes, points: Sequence[RocPoint], class_names: Sequence[str]
) -> list[Artist]:
    """Draw the curve of each class and return the lines; without points a line is empty."""
    axes.plot([0, 1], [0, 1], color=REFERENCE_COLOUR, linestyle=":")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), aspect="equal")
    lines: list[Artist] = []
    for name, (line_style, colour) in zip(class_names, cycle(LINE_STYLES), strict=False):
        class_points = [point for point in points if point.name == name]
        lines += axes.plot(
            [point.false_positive_rate for point in class_points],
            [point.true_positive_rate for point in class_points],
            linestyle=line_style,
            color=colour,
        )
    return lines


def draw_histories(histories: Histories, metrics: MetricsByModel, title: str) -> Figure:
    """Return loss and accuracy of each model by epoch: training, and dashed validation.

    A star marks the epoch whose weights are kept. A cross above the panel marks a training that
    ended without a loss. The networks of an ensemble look alike.
    """
    figure = Figure(layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(2, 1, sharex=True)
    names = label_names(list(histories), "model", MAX_NAME_WIDTH)
    n_without_loss = sum(map(_count_networks_without_loss, histories.values()))
    cross_distance = min(CROSS_DISTANCE, MAX_CROSS_HEIGHT / max(1, n_without_loss))
    n_crosses = 0
    for (name, history), (marker, colour) in zip(
        histories.items(), cycle(MARKER_STYLES), strict=False
    ):
        label = names[name]
        for rows in split_by_network(history):
            spacing = math.ceil(len(rows) / MAX_MARKERS)
            line = {"color": colour, "marker": marker, "markersize": 4, "markevery": spacing}
            has_loss = not math.isnan(rows[-1].train_loss)
            _draw_training(loss_axes, accuracy_axes, rows, line, label if has_loss else "")
            if rows[0].validation_loss is not None:
                _draw_validation(loss_axes, accuracy_axes, rows, line, f"{label}, validation")
                _mark_kept_epoch(loss_axes, accuracy_axes, rows, metrics[name], colour)
            if not has_loss:
                n_crosses += 1
                end = "diverged" if metrics[name].diverged else "loss of NaN after the epoch kept"
                cross_height = 1 + n_crosses * cross_distance
                _draw_crosses(
                    loss_axes, accuracy_axes, rows[-1], cross_height, colour, f"{label}, {end}"
                )

    if any(metrics[name].kept_epoch is not None for name in histories):
        star = {**KEPT_EPOCH_STYLE, "linestyle": "", "color": "white"}
        accuracy_axes.plot([], [], **star, label="epoch kept")

    _limit_histories(loss_axes, accuracy_axes)
    handles_by_label = _list_legend_entries(accuracy_axes)
    labels = list(handles_by_label)
    _add_legend(figure, list(handles_by_label.values()), labels)
    extra_width = _measure_extra_width(labels)
    title_width = 8 + extra_width - _measure_legend_width(labels) - 0.9
    axes_title = wrap_text(f"{title}: training of each model", title_width)
    title_height = 1 + n_crosses * cross_distance + 0.03
    loss_axes.set_title(axes_title, y=title_height, parse_math=False)

    # The figure grows by what stands above the panels, or to the height of the legend.
    height = 6.4 + measure_extra_height(axes_title)
    height += max(0, n_crosses - 1) * cross_distance * PANEL_HEIGHT
    figure.set_size_inches(8 + extra_width, max(height, _measure_legend_height(len(labels))))
    return figure


def _count_networks_without_loss(history: Sequence[Epoch]) -> int:
    """Return how many networks of a model ended without a training loss."""
    return sum(math.isnan(rows[-1].train_loss) for rows in split_by_network(history))


def _list_legend_entries(axes: Axes) -> dict[str, Artist]:
    """Return what a legend shows, by its label: networks of an ensemble share one."""
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def _limit_histories(loss_axes: Axes, accuracy_axes: Axes) -> None:
    loss_axes.set(yscale="log", ylabel="training loss (log scale)")
    loss_axes.margins(y=0.02)
    if loss_axes.get_ylim()[1] > MAX_SHOWN_LOSS:  # the first loss of a diverging run can be 1e29
        loss_axes.set_ylim(top=MAX_SHOWN_LOSS)
    accuracy_axes.set(ylim=(0, 1.02), ylabel="training accuracy", xlabel="epoch")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1))
    accuracy_axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    loss_axes.grid(alpha=0.3)
    accuracy_axes.grid(alpha=0.3)


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


def _mark_kept_epoch(
    loss_axes: Axes,
    accuracy_axes: Axes,
    history: Sequence[Epoch],
    metrics: Metrics,
    colour: str,
) -> None:
    """Mark the epoch of a network whose weights are kept: that of the lowest validation loss."""
    if metrics.kept_epoch is None:
        return
    star = {**KEPT_EPOCH_STYLE, "color": colour}
    kept_epoch = find_best_epoch(history)
    for epoch in history:
        if epoch.epoch != kept_epoch:
            continue
        if epoch.validation_loss is not None and epoch.validation_accuracy is not None:
            loss_axes.plot(epoch.epoch, epoch.validation_loss, **star)
            accuracy_axes.plot(epoch.epoch, epoch.validation_accuracy, **star)


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

    groups: names and learning rates of models that differ in nothing else. The names stand beside
    the points, or in a legend where they would cover each other or the points.
    """
    if not groups:  # the report leaves this picture out
        return draw_sentence("No two models differ only in the learning rate")

    figure = _draw_named_learning_rates(groups, metrics, histories, title)
    if _has_covered_names(figure):
        figure = _draw_listed_learning_rates(groups, metrics, histories, title)
    return figure


class LrPoint(NamedTuple):
    """A model as `draw_learning_rates` shows it."""

    name: str  # as the picture shows it
    lr: float
    metrics: Metrics
    loss: float
    marker: str
    colour: str

    @property
    def text(self) -> str:
        """Return what a legend shows."""
        ending = ", diverged" if self.metrics.diverged else ""
        return f"{self.name}, lr {self.lr:g}{ending}"


def _list_points(
    groups: Sequence[Mapping[str, float]],
    metrics: MetricsByModel,
    histories: Histories,
    max_name_width: float,
) -> list[LrPoint]:
    """Return the models, each group in its own colour."""
    model_names = [name for group in groups for name in group]
    shown_names = label_names(model_names, "model", max_name_width)
    points = []
    for group, colour in zip(groups, cycle(PALETTE), strict=False):
        for name, lr in group.items():
            loss = _compute_last_loss(histories[name])
            points.append(LrPoint(shown_names[name], lr, metrics[name], loss, "o", colour))
    return points


def _compute_last_loss(history: Sequence[Epoch]) -> float:
    """Return the training loss of the last epoch, as the mean over the networks of a model."""
    losses = [rows[-1].train_loss for rows in split_by_network(history)]
    return float(np.mean(losses))


def _draw_named_learning_rates(
    groups: Sequence[Mapping[str, float]], metrics: MetricsByModel, histories: Histories, title: str
) -> Figure:
    """Return the picture with the name of each model beside its points."""
    figure = _make_learning_rate_figure()
    for point in _list_points(groups, metrics, histories, MAX_POINT_NAME_WIDTH):
        text = point.name
        if point.metrics.diverged:
            text = f"{text}\ndiverged"
            point = point._replace(marker="X", colour=DIVERGED_COLOUR)
        _draw_point(figure, point)
        for axes, value in zip(figure.axes, (point.metrics.accuracy, point.loss), strict=True):
            axes.annotate(text, (point.lr, value), (8, 0), textcoords="offset points", **TEXT)

    points = _list_points(groups, metrics, histories, MAX_NAME_WIDTH)
    _finish_learning_rates(figure, points, title)
    return figure


def _draw_listed_learning_rates(
    groups: Sequence[Mapping[str, float]], metrics: MetricsByModel, histories: Histories, title: str
) -> Figure:
    """Return the picture with the names in a legend, and a style for each model."""
    figure = _make_learning_rate_figure()
    points = _list_points(groups, metrics, histories, MAX_NAME_WIDTH)
    for point, (marker, colour) in zip(points, cycle(MARKER_STYLES), strict=False):
        _draw_point(figure, point._replace(marker=marker, colour=colour))
    _finish_learning_rates(figure, points, title)

    # The figure grows by the legend, so that the panels stay as they are.
    handles, labels = figure.axes[0].get_legend_handles_labels()
    _add_legend(figure, handles, labels)
    height = max(figure.get_figheight(), _measure_legend_height(len(labels)))
    figure.set_size_inches(figure.get_figwidth() + _measure_legend_width(labels), height)
    return figure


def _make_learning_rate_figure() -> Figure:
    """Return a figure with a panel of accuracies above one of losses."""
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    figure.subplots(2, 1, sharex=True)
    return figure


def _draw_point(figure: Figure, point: LrPoint) -> None:
    """Draw one model: its accuracy with the interval, and its loss."""
    accuracy_axes, loss_axes = figure.axes
    metrics = point.metrics
    style: dict[str, Any] = {"markersize": 7, "color": point.colour, "marker": point.marker}
    accuracy_axes.plot([point.lr] * 2, [metrics.ci_low, metrics.ci_high], color=point.colour)
    accuracy_axes.plot(
        point.lr, metrics.accuracy, **style, linestyle="", label=point.text, clip_on=False
    )
    loss_axes.plot(point.lr, point.loss, **style)


def _finish_learning_rates(figure: Figure, points: Sequence[LrPoint], title: str) -> None:
    """Set titles, limits and scales; above the losses name the models that have none."""
    accuracy_axes, loss_axes = figure.axes
    without_loss = [point for point in points if not math.isfinite(point.loss)]
    loss_title = ""
    if without_loss:
        texts = [f"{point.name} (lr {point.lr:g})" for point in without_loss]
        loss_title = wrap_text(
            f"without a finite loss: {', '.join(texts)}", LR_TITLE_WIDTH, SMALL_SIZE
        )
        loss_axes.set_title(loss_title, fontsize=SMALL_SIZE, color=DIVERGED_COLOUR)

    axes_title = wrap_text(title, LR_TITLE_WIDTH)
    accuracy_axes.set_title(axes_title, parse_math=False)
    accuracy_axes.set(ylim=(0, 1), ylabel="accuracy, given split", xscale="log")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1))
    loss_axes.set(ylabel="training loss, last epoch", xlabel="learning rate (log scale)")
    loss_axes.margins(y=0.1)
    for axes in (accuracy_axes, loss_axes):
        axes.margins(x=0.18)  # room for the names
        axes.grid(alpha=0.3)

    extra_height = measure_extra_height(axes_title) - measure_extra_height(title)
    figure.set_figheight(6.4 + extra_height + measure_extra_height(loss_title))


def _has_covered_names(figure: Figure) -> bool:
    """Return whether a name beside a point covers another name or point, or leaves its panel."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if isinstance(text, Annotation)]
        panel = axes.get_window_extent()
        if any(box.x1 > panel.x1 for box in boxes):
            return True
        if any(first.overlaps(second) for first, second in combinations(boxes, 2)):
            return True
        points = [line.get_window_extent() for line in axes.lines]
        for box, point in product(boxes, points):
            if _is_finite(point) and box.overlaps(point):
                return True
    return False


def _is_finite(box: Bbox) -> bool:
    return bool(np.isfinite(box.extents).all())
