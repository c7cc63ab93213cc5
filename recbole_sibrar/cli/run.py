"""The command ``run_recbole``: train and test one model."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence

from recbole_sibrar.cli.common import parse_overrides
from recbole_sibrar.config.choices import (
    check_model,
    check_names,
    chosen,
    configuration_file,
    keys_of_files,
    model_names,
    ready_made_configurations,
)
from recbole_sibrar.errors import OptionParser
from recbole_sibrar.names import MODELS
from recbole_sibrar.quick_start.run import process_options


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    others = ", ".join(model_names()[len(MODELS) :])
    parser = OptionParser(
        prog="run_recbole",
        description="Train a model on a data set and test it, as RecBole's script of the same name does.",
        epilog="\n".join(
            [
                "Any key of the configuration can be given as --key=value, for example",
                "  --learning_rate=0.001 --epochs=20 --item_modalities=[interactions,class]",
                "--resume=CHECKPOINT continues an interrupted run; --state=DEBUG shows tracebacks.",
                "",
                f"models of recbole-sibrar: {', '.join(MODELS)}",
                *textwrap.wrap(f"models of RecBole: {others}", 110),
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", "-m", help="name of the model (default: the configuration's, else BPR)")
    parser.add_argument("--dataset", "-d", help="name of the data set (default: the configuration's, else ml-100k)")
    parser.add_argument(
        "--config_files",
        metavar='"FILE ..."',
        default="",
        help="yaml files with configuration keys, separated by spaces, or the names of ready-made ones "
        f"({', '.join(ready_made_configurations())}); later files override earlier ones",
    )
    parser.add_argument("--save_split", metavar="DIR", help="write training, validation and test part as atomic files")
    process_options.add_arguments(parser)
    return parser


def run(args: argparse.Namespace, rest: Sequence[str]) -> int:
    """Run the command.

    Args:
        args: Its own options.
        rest: Keys of the configuration, as ``--key=value``.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option, or the configuration, cannot be used.
        DataError: The data cannot be used.
        ProcessError: One of several processes has failed.
    """
    processes = process_options.asked_for(args, os.environ)
    overrides = parse_overrides(rest)
    if args.save_split:
        overrides["save_split"] = args.save_split
    files = [configuration_file(name) for name in args.config_files.split()]
    keys = keys_of_files(files)
    model, dataset = (chosen(option, args, overrides, keys) for option in ("model", "dataset"))
    check_model(model)
    check_names({**keys, **overrides}, model, vars(args))

    from recbole_sibrar.quick_start.run import processes as starting
    from recbole_sibrar.quick_start.run.configuration import try_configuration
    from recbole_sibrar.trainer.interruption import let_sigterm_end_this_process

    let_sigterm_end_this_process()
    sys.argv = sys.argv[:1]  # RecBole would read the same options once more, by its own rules
    if "gpu_id" not in {**keys, **overrides}:
        overrides |= processes.own_gpus()
    config, _ = try_configuration(model, dataset, files, overrides)
    processes.check(config["gpu_id"])
    if not processes.single:
        starting.download(config, processes)
    starting.run(model, dataset, files, dict(overrides), processes)
    return 0
