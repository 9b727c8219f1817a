"""The table of `mri-stages models`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.config.schema import ARCHITECTURES, Model, Params
from mri_stages.errors import InputError
from mri_stages.orchestration.data_checks import describe_refusals, describe_unusable
from mri_stages.orchestration.data_facts import DataFacts, predict_sample, read_data_facts
from mri_stages.orchestration.image_sizes import (
    RefusalKind,
    build_for_shapes,
    explain_file_fault,
    find_refusals,
    find_smallest_side,
    find_unusable_models,
)
from mri_stages.orchestration.model_results import ResultState, find_result_states

ROW_FORMAT = "{:32.32} {:24.24} {:>14} {:>14}  {}"  # a longer name is cut
# Where the images are not known: those of most architectures' first layer.
USUAL_CHANNELS = 3
USUAL_CLASSES = 2
UNKNOWN = "-"


class Architecture(NamedTuple):
    """What an architecture needs, and how large it is at the shape of the images."""

    smallest_image: str
    n_parameters: str


async def print_models() -> None:
    """Print a row per model, and what the numbers of parameters are for."""
    params = read_params()
    facts_or_error = read_facts(params)
    states, architectures = await asyncio.gather(
        find_result_states(params.models),
        asyncio.to_thread(measure_architectures, params, facts_or_error),
    )
    print_table(params, architectures, states)
    other_architectures = await asyncio.to_thread(
        describe_other_architectures, params, facts_or_error
    )
    if other_architectures:
        print(f"\n{other_architectures}")
    print(f"\n{describe_images(params, facts_or_error)}")
    warning = describe_refused_models(params, facts_or_error)
    if warning:
        print(f"warning: {warning}")


def describe_refused_models(params: Params, facts: DataFacts | InputError) -> str:
    """Return which models cannot be used, or not for these images, in one line; "" if none."""
    if isinstance(facts, InputError):
        refusals = find_unusable_models(params.models)
        return describe_unusable(refusals) if refusals else ""
    refusals = find_refusals(params.models, facts.image_shape, len(facts.classes))
    return describe_refusals(refusals, params, facts) if refusals else ""


def read_facts(params: Params) -> DataFacts | InputError:
    """Return the shape and the classes of the images, or why they are not known."""
    folder = Path(params.data.raw)
    if folder == paths.SAMPLE:
        return predict_sample(params.sample)
    try:
        return read_data_facts(folder)
    except InputError as error:
        return error


def describe_images(params: Params, facts: DataFacts | InputError) -> str:
    """Return which images the numbers of parameters are for."""
    if isinstance(facts, InputError):
        return f"The images are not known, so no parameters are counted: {facts}"
    shape = " x ".join(map(str, facts.image_shape))
    return (
        f"Parameters for the images in {params.data.raw}: {shape} (channels, height, width), "
        f"{len(facts.classes)} classes."
    )


def measure_architectures(params: Params, facts: DataFacts | InputError) -> dict[str, Architecture]:
    """Return the smallest square image and the number of parameters of each kind of network.

    The keys are those of `Model.describe_network`.
    """
    channels = USUAL_CHANNELS
    n_classes = USUAL_CLASSES
    if isinstance(facts, DataFacts):
        channels = facts.image_shape[0]
        n_classes = len(facts.classes)

    architectures = {}
    networks = {model.describe_network(): model for model in params.models.values()}
    for key, model in networks.items():
        if explain_file_fault(model.arch, model.options):
            architectures[key] = Architecture(RefusalKind.FILE.value, UNKNOWN)
            continue
        side = find_smallest_side(model.arch, channels, n_classes, model.options)
        smallest_image = "unknown" if side is None else f"{side} x {side}"
        architectures[key] = Architecture(smallest_image, count_parameters(model, facts))
    return architectures


def count_parameters(model: Model, facts: DataFacts | InputError) -> str:
    """Return the number of parameters at the shape of the images; a dash where they do not fit."""
    if isinstance(facts, InputError):
        return UNKNOWN
    try:
        network = build_for_shapes(model.arch, facts.image_shape, len(facts.classes), model.options)
    except Exception:  # A user's network raises errors of any kind; the warning says which.
        return UNKNOWN
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"


def describe_other_architectures(params: Params, facts: DataFacts | InputError) -> str:
    """Return the architectures of no model, and the command that adds one; "" if there are none.

    The smallest image of a file that needs options is not known before they are.
    """
    channels = USUAL_CHANNELS
    n_classes = USUAL_CLASSES
    if isinstance(facts, DataFacts):
        channels = facts.image_shape[0]
        n_classes = len(facts.classes)

    used = {model.arch for model in params.models.values()}
    names = []
    for arch in ARCHITECTURES:
        if arch not in used:
            side = find_smallest_side(arch, channels, n_classes)
            names.append(arch if side is None else f"{arch} (from {side} x {side} pixels)")
    if not names:
        return ""
    return (
        f"Architectures of no model: {', '.join(names)}. "
        "'mri-stages models add NAME ARCH lr=0.01 batch_size=32' adds a model."
    )


def print_table(
    params: Params,
    architectures: Mapping[str, Architecture],
    states: Mapping[str, ResultState],
) -> None:
    print(ROW_FORMAT.format("model", "architecture", "smallest image", "parameters", "results"))
    for name, model in params.models.items():
        architecture = architectures[model.describe_network()]
        print(
            ROW_FORMAT.format(
                name,
                model.arch,
                architecture.smallest_image,
                architecture.n_parameters,
                states[name].value,
            )
        )
