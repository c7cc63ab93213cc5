"""The program ``run_recbole``: train and test one model."""

from __future__ import annotations

import argparse
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_sibrar.cli import options as shared
from recbole_sibrar.config.choices import (
    check_model,
    check_names,
    chosen,
    model_names,
    ready_made_configurations,
)
from recbole_sibrar.names import OWN_MODELS
from recbole_sibrar.quick_start.run import process_options
from recbole_sibrar.quick_start.run.process_options import Processes

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the program."""
    ready_made = ", ".join(ready_made_configurations())
    about_files = (
        "yaml files with configuration keys, separated by spaces, or names of ready-made ones "
        f"({ready_made}); later files override earlier ones"
    )

    shared.add_model(parser)
    shared.add_dataset(parser)
    shared.add_config_files(parser, about_files)
    parser.add_argument(
        "--save_split",
        metavar="DIR",
        help="write the training, validation and test part as atomic files",
    )
    parser.add_argument(
        "--export",
        metavar="NAME.sibrar",
        help="write the trained model as a portable one, as recbole-sibrar export --modalities "
        "does",
    )
    process_options.add_arguments(parser)

    parser.epilog = _epilog()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _epilog() -> str:
    of_recbole = ", ".join(model_names()[len(OWN_MODELS) :])
    lines = [
        "Any key of the configuration can be given as --key=value, for example",
        "  --learning_rate=0.001 --epochs=20 --item_modalities=[interactions,class]",
        "--resume=CHECKPOINT continues an interrupted run; --state=DEBUG shows tracebacks.",
        "",
        f"models of recbole-sibrar: {', '.join(OWN_MODELS)}",
        *textwrap.wrap(f"models of RecBole: {of_recbole}", 110),
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Options:
    """Options of the program."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the data set."""
    given: shared.GivenKeys
    """Configuration keys from files and from the command line."""
    processes: Processes
    """Processes of the run."""
    export: str | None
    """Folder of a portable model to write; None for none."""

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> Options:
        """Read and check the parsed arguments, without importing RecBole.

        Raises:
            ConfigError: An option, a configuration file or a key cannot be used.
        """
        processes = process_options.read_processes(args, os.environ)
        overrides = shared.parse_overrides(args.keys)
        if args.save_split:
            overrides["save_split"] = args.save_split

        given = shared.GivenKeys.read(args.config_files.split(), overrides)
        model = chosen("model", args, overrides, given.of_files)
        dataset = chosen("dataset", args, overrides, given.of_files)
        check_model(model)
        check_names(given.values, model, shared.option_names(args))
        return cls(model, dataset, given, processes, args.export)


def run(args: argparse.Namespace) -> int:
    """Run the program.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option, or the configuration, cannot be used.
        DataError: The data cannot be used.
        ProcessError: One of several processes has failed.
    """
    options = Options.from_arguments(args)
    processes = options.processes

    from recbole_sibrar.quick_start.run import processes as starting
    from recbole_sibrar.quick_start.run.configuration import try_configuration
    from recbole_sibrar.trainer.interruption import let_sigterm_end_this_process

    # Before the training: at its end a folder that cannot be written is no use.
    if options.export:
        from recbole_sibrar.serving.bundle.writing import check_place

        check_place(Path(options.export))

    # Clusters end jobs by SIGTERM.
    let_sigterm_end_this_process()
    shared.hide_arguments_from_recbole()

    keys: dict[str, Any] = dict(options.given.overrides)

    # RecBole gives all processes the first GPU unless gpu_id names several.
    if "gpu_id" not in options.given.values:
        keys |= processes.own_gpus()

    # A wrong configuration ends here with one line, and not in each of several processes.
    config, _ = try_configuration(options.model, options.dataset, options.given.files, keys)
    processes.check(config["gpu_id"])

    # Each of the processes would download a missing data set by itself.
    if not processes.single:
        starting.download(config, processes)

    # With torchrun every process runs this command; the first one alone writes.
    result = starting.run(options.model, options.dataset, options.given.files, keys, processes)
    if options.export and result is not None and processes.is_first:
        from recbole_sibrar.quick_start.export.run import export_run

        export_run(result, Path(options.export), config["data_path"])
    return 0
