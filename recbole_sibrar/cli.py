"""The commands: ``run_recbole`` with RecBole's own options, and ``recbole-sibrar`` for what RecBole has no name for."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from recbole_sibrar.plugin import MODELS, configuration_file, ready_made_configurations
from recbole_sibrar.quick_start import (
    doctor,
    gap_command,
    group_command,
    hyper_command,
    missing,
    process_options,
    report_command,
)
from recbole_sibrar.quick_start.command_line import INTERRUPTED as INTERRUPTED  # what a script compares with
from recbole_sibrar.quick_start.command_line import WRONG_INPUT as WRONG_INPUT
from recbole_sibrar.quick_start.command_line import (
    check_model,
    chosen,
    keys_of_files,
    model_names,
    output_folder,
    parse_overrides,
    reporting,
    wants_traceback,
)
from recbole_sibrar.quick_start.configuration import try_configuration
from recbole_sibrar.quick_start.processes import download, run
from recbole_sibrar.trainer.interruption import let_sigterm_end_this_process


def run_recbole(argv: Sequence[str] | None = None) -> int:
    """The command ``run_recbole``: train and test one model.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status.
    """
    parser = _run_recbole_parser()
    args, rest = parser.parse_known_args(argv)
    return reporting(parser.prog, lambda: _run_recbole(args, rest), debug=wants_traceback(rest))


def _run_recbole_parser() -> argparse.ArgumentParser:
    others = ", ".join(model_names()[len(MODELS) :])
    parser = argparse.ArgumentParser(
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
        f"({', '.join(ready_made_configurations())}); later files go before earlier ones",
    )
    parser.add_argument("--save_split", metavar="DIR", help="write training, validation and test part as atomic files")
    process_options.add_arguments(parser)
    return parser


def _run_recbole(args: argparse.Namespace, rest: Sequence[str]) -> int:
    let_sigterm_end_this_process()
    processes = process_options.asked_for(args, os.environ)
    overrides = parse_overrides(rest)
    if args.save_split:
        overrides["save_split"] = args.save_split
    files = [configuration_file(name) for name in args.config_files.split()]
    keys = keys_of_files(files)
    model, dataset = (chosen(option, args, overrides, keys) for option in ("model", "dataset"))
    check_model(model)
    sys.argv = sys.argv[:1]  # RecBole would read the same options once more, by its own rules
    if "gpu_id" not in {**keys, **overrides}:
        overrides |= processes.own_gpus()
    config, _ = try_configuration(model, dataset, files, overrides)
    processes.check(config["gpu_id"])
    if not processes.single:
        download(config, processes)
    run(model, dataset, files, dict(overrides), processes)
    return 0


def run_recbole_group(argv: Sequence[str] | None = None) -> int:
    """The command ``run_recbole_group``: train and test several models on the same parts, and compare them.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status: 0, or 1 if a run has failed.
    """
    return _with_keys(group_command, argv)


def run_hyper(argv: Sequence[str] | None = None) -> int:
    """The command ``run_hyper``: search the values of keys with which a model does best on the validation part.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status: 0, or 1 if all trials have failed.
    """
    return _with_keys(hyper_command, argv)


def _with_keys(command: Any, argv: Sequence[str] | None) -> int:
    """Run a command whose arguments can be keys of the configuration beside its own options."""
    parser = command.parser()
    args, rest = parser.parse_known_args(argv)
    return reporting(parser.prog, lambda: command.run(args, rest), debug=wants_traceback(rest))


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``recbole-sibrar``.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(prog="recbole-sibrar", description="Tools of the RecBole plugin for SiBraR.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    about = "show versions, repairs and devices, and train a small model as a test"
    commands.add_parser("doctor", help=about, description=about).set_defaults(run=lambda args: doctor.main(print))
    _add_missing(commands)
    about = "measure how far apart trained models put the modalities of the same item, with tables and figures"
    parser_of_gap = commands.add_parser("gap", help=about, description=about, allow_abbrev=False)
    parser_of_gap.set_defaults(run=gap_command.run)
    gap_command.add_arguments(parser_of_gap)
    _add_significance(commands)
    about = "one HTML page, and figures as PDF and PNG, about a comparison of run_recbole_group"
    parser_of_report = commands.add_parser("report", help=about, description=about, allow_abbrev=False)
    parser_of_report.set_defaults(run=report_command.run)
    report_command.add_arguments(parser_of_report)
    _add_encoders(commands)
    commands.add_parser("prepare", help="convert a downloaded data set to atomic files with multimodal features")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["prepare"]:
        return _prepare(arguments[1:])
    args = parser.parse_args(arguments)
    program = f"recbole-sibrar {args.command}"
    return reporting(program, lambda: args.run(args), debug=wants_traceback(arguments))


def _prepare(arguments: Sequence[str]) -> int:
    """Run the converters, which have a parser of their own and are loaded when they are needed."""
    from recbole_sibrar.dataset_prep import command

    return reporting("recbole-sibrar prepare", lambda: command.main(arguments, print), wants_traceback(arguments))


def _add_missing(commands: Any) -> None:
    about = "evaluate trained models with missing modalities, without training them again"
    parser = commands.add_parser("missing", help=about, description=about, allow_abbrev=False)
    parser.set_defaults(run=_missing)
    parser.add_argument("checkpoints", metavar="CHECKPOINT", nargs="+", help="file that a training run saved")
    parser.add_argument("--data_path", metavar="DIR", help="where the data are now, if they have moved since training")
    parser.add_argument("--side", default="item", help="whose modalities are missing: item (default) or user")
    parser.add_argument("--modalities", metavar="A,B", help="modalities that can be missing (default: all)")
    parser.add_argument("--rates", default=missing.RATES, help="shares of values to lose (default: %(default)s)")
    parser.add_argument("--seeds", default="5", help="number of random draws at each rate (default: %(default)s)")
    parser.add_argument("--metric", help="metric of the figure, such as recall@10 (default: that of the validation)")
    parser.add_argument("--output", metavar="DIR", default="missing", help="folder of the results (default: missing)")


def _missing(args: argparse.Namespace) -> int:
    from recbole_sibrar.report import curves  # loads Matplotlib, which no other command waits for

    plan = missing.read_plan(args.side, args.modalities, args.rates, args.seeds)
    folder = output_folder(args.output)
    frame, metric = missing.run(args.checkpoints, plan, args.metric and args.metric.lower(), _note, args.data_path)
    missing.write_table(frame, folder / "missing.csv")
    figure = curves.missing_curves(frame, metric)
    for suffix in ("png", "pdf"):
        curves.save_figure(figure, folder / f"missing.{suffix}")
    print(missing.table(frame, metric))  # noqa: T201
    print(f"written: {folder / 'missing.csv'}, missing.png, missing.pdf")  # noqa: T201
    return 0


def _note(line: str) -> None:
    print(f"recbole-sibrar missing: {line}", file=sys.stderr)  # noqa: T201


def _add_encoders(commands: Any) -> None:
    abouts = {
        "text": "turn texts into vectors by a sentence transformer",
        "image": "turn images into vectors by a network of timm or torchvision",
    }
    for kind, about in abouts.items():
        module = import_module(f"recbole_sibrar.dataset_prep.encode_{kind}")
        parser = commands.add_parser(f"encode-{kind}", help=about, description=about, allow_abbrev=False)
        module.add_arguments(parser)
        parser.set_defaults(run=module.run)


def _add_significance(commands: Any) -> None:
    about = "compare models by the results of their users, with paired tests"
    parser = commands.add_parser("significance", help=about, description=about, allow_abbrev=False)
    parser.set_defaults(run=_significance)
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="file of save_per_user, or several of different seeds, joined by +",
    )
    parser.add_argument("--metrics", metavar="A,B", help="metrics, such as ndcg@10 (default: all that every file has)")
    parser.add_argument("--reference", metavar="RUN", help="compare this run with all others (default: all pairs)")
    parser.add_argument("--output", metavar="FILE", help="CSV file for the table")


def _significance(args: argparse.Namespace) -> int:
    from recbole_sibrar.quick_start import significance  # loads statsmodels, which no other command waits for

    frame = significance.run(args.runs, args.metrics, args.reference)
    print(frame.to_string(index=False, float_format=lambda number: f"{number:.4g}"))  # noqa: T201
    if args.output:
        significance.write(frame, Path(args.output))
    return 0
