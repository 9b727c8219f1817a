"""List the models of params.yaml, add and remove them, bring the file up to this version."""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from mri_stages import paths
from mri_stages.config.loading import check_params, read_params, read_text
from mri_stages.config.model_edits import add_model, remove_models
from mri_stages.config.upgrade import upgrade_text
from mri_stages.console import OneLineParser, format_count
from mri_stages.errors import InputError
from mri_stages.storage.files import write_bytes

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt")


def main(argv: Sequence[str]) -> None:
    arguments = parse_arguments(argv)
    match arguments.action:
        case "add":
            add(arguments)
        case "remove":
            asyncio.run(remove(arguments.name, arguments.use))
        case "upgrade-params":
            upgrade_params()
        case "weights":
            store_weights(arguments.file)
        case _:
            # It takes seconds to import PyTorch.
            from mri_stages.commands.list_models import print_models

            asyncio.run(print_models())


def parse_arguments(argv: Sequence[str]) -> Namespace:
    parser = OneLineParser(
        prog="mri-stages models", description=__doc__, epilog="Without ACTION: list the models."
    )
    actions = parser.add_subparsers(metavar="ACTION", dest="action")

    add_parser = actions.add_parser(
        "add", help="add a model", description="Add a model to params.yaml."
    )
    add_parser.add_argument("name", metavar="NAME", help="of the new model")
    add_parser.add_argument("arch", metavar="ARCH", help="a file src/mri_stages/models/ARCH.py")
    add_parser.add_argument(
        "settings", nargs="*", metavar="KEY=VALUE", help="lr, batch_size, or any key of train"
    )
    add_parser.add_argument(
        "--cross-validate", action="store_true", help="put it under cross_validation.models too"
    )

    removal = "Remove models from params.yaml, with their results and what dvc.lock says of them."
    remove_parser = actions.add_parser(
        "remove", help="remove models and their results", description=removal
    )
    remove_parser.add_argument("name", nargs="+", metavar="NAME", help="of a model")
    remove_parser.add_argument(
        "--use", metavar="OTHER", help="the model that `export` and studies take instead"
    )

    weights_parser = actions.add_parser(
        "weights",
        help="keep a file of trained weights for `weights` of a model, and print its hash",
        description="Keep a file of trained weights on this machine, and print what it holds.",
    )
    weights_parser.add_argument("file", metavar="FILE", help=".safetensors, .pth or .pt")

    actions.add_parser(
        "upgrade-params",
        help="write the keys that params.yaml lacks, so that results stay as they are",
        description="Write the keys that params.yaml lacks. Results stay as they are.",
    )
    if not argv or argv[0] not in actions.choices:
        return parser.parse_args(argv)
    # A parser above others ends a list of arguments at an option, so that of the action reads them.
    action_parser = actions.choices[argv[0]]
    return action_parser.parse_intermixed_args(argv[1:], Namespace(action=argv[0]))


def add(arguments: Namespace) -> None:
    """Write params.yaml with another model."""
    text = add_model(
        read_text(), arguments.name, arguments.arch, arguments.settings, arguments.cross_validate
    )
    write_bytes(paths.PARAMS, text.encode())
    print(f"wrote models.{arguments.name} to {paths.PARAMS}; 'mri-stages repro' trains it")


async def remove(names: Sequence[str], substitute: str | None) -> None:
    """Remove models with their results; InputError, and nothing is changed, where one is needed.

    params.yaml is written last, so that a removal that was killed can be repeated.
    """
    # DVC starts with an import of seconds, which an error in the arguments does not need.
    from mri_stages.orchestration.model_results import remove_results

    distinct_names = list(dict.fromkeys(names))
    text = remove_models(read_text(), distinct_names, substitute)
    outs = await remove_results(distinct_names)
    write_bytes(paths.PARAMS, text.encode())

    counted = format_count(len(outs), "file")
    print(f"removed {', '.join(distinct_names)} from {paths.PARAMS}, and {counted}:")
    for out in outs:
        print(f"  {out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out}")
    print(f"left: {', '.join(check_params(text).models)}; 'mri-stages repro' renews the comparison")


def store_weights(name: str) -> None:
    """Copy a file of weights to the store; print its tensors and its lines for params.yaml.

    InputError, and nothing is copied, if the file does not hold a state dict.
    """
    from mri_stages.training.initial_weights import compute_sha256, find_store, read_state_dict

    if Path(name).suffix not in WEIGHTS_SUFFIXES:
        raise InputError(f"{name}: expected a file *{', *'.join(WEIGHTS_SUFFIXES)}")
    if not Path(name).is_file():
        raise InputError(f"{name}: no such file")
    data = Path(name).read_bytes()
    state = read_state_dict(name, data)
    sha256 = compute_sha256(data)
    write_bytes(find_store() / sha256, data)

    for tensor_name, tensor in state.tensors.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        print(f"{tensor_name} {tuple(tensor.shape)} {kind}")
    place = f" under `{state.key}`" if state.key else ""
    counted = format_count(len(state.tensors), "tensor")
    print(f"{counted}{place}; copied to {find_store() / sha256}")
    print(f"    weights:\n      file: {name}\n      sha256: {sha256}")


def upgrade_params() -> None:
    """Upgrade params.yaml in place, and check it; InputError if a key is still missing or wrong."""
    text = read_text()
    upgraded_text = upgrade_text(text)
    if upgraded_text != text:
        write_bytes(paths.PARAMS, upgraded_text.encode())
        print(f"wrote {paths.PARAMS}; 'git diff {paths.PARAMS}' shows the changes")
    else:
        print(f"{paths.PARAMS} has all keys")

    read_params()
