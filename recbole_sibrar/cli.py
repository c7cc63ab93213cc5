"""The commands: ``run_recbole`` with RecBole's own options, and ``recbole-sibrar`` for what RecBole has no name for."""

from __future__ import annotations

import argparse
import functools
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import recbole
import yaml
from tqdm import tqdm

from recbole_sibrar.config import ConfigError, refuse
from recbole_sibrar.plugin import MODELS, configuration_file, ready_made_configurations
from recbole_sibrar.quick_start import doctor, gap_command, missing, report_command
from recbole_sibrar.quick_start.configuration import try_configuration
from recbole_sibrar.quick_start.processes import Processes, run
from recbole_sibrar.quick_start.variants import nearest_model, parse_seeds, parse_variants

WRONG_INPUT = 2
"""Exit status after wrong input, as argparse has it."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def model_names() -> list[str]:
    """Names of all models, ours first."""
    names: set[str] = set()
    for file in (Path(recbole.__path__[0]) / "model").glob("*_recommender/*.py"):
        classes = re.findall(r"^class (\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
        names.update(name for name in classes if name.lower() == file.stem)
    return [*MODELS, *sorted(names.difference(MODELS))]


def run_recbole(argv: Sequence[str] | None = None) -> int:
    """The command ``run_recbole``: train and test one model.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status.
    """
    parser = _run_recbole_parser()
    args, rest = parser.parse_known_args(argv)
    return _reporting(parser.prog, lambda: _run_recbole(args, rest), debug="--state=DEBUG" in rest)


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
    defaults = Processes()
    parser.add_argument("--nproc", type=int, default=defaults.nproc, help="processes on this machine, one GPU each")
    parser.add_argument("--ip", default=defaults.ip, help="address of the machine with rank 0")
    parser.add_argument("--port", default=defaults.port, help="port on that machine")
    parser.add_argument("--world_size", type=int, default=defaults.world_size, help="processes on all machines")
    parser.add_argument(
        "--group_offset", type=int, default=defaults.group_offset, help="rank of this machine's first process"
    )
    return parser


def _run_recbole(args: argparse.Namespace, rest: Sequence[str]) -> int:
    processes = Processes(args.nproc, args.world_size, args.group_offset, args.ip, args.port)
    processes.check()
    overrides = parse_overrides(rest)
    if args.save_split:
        overrides["save_split"] = args.save_split
    files = [configuration_file(name) for name in args.config_files.split()]
    keys = _keys_of_files(files)
    model = args.model or overrides.get("model") or keys.get("model", "BPR")
    dataset = args.dataset or overrides.get("dataset") or keys.get("dataset", "ml-100k")
    if model not in model_names():
        hint = nearest_model(model, model_names())
        raise ConfigError(f"--model: found '{model}', allowed is any model that --help lists{hint}")
    sys.argv = sys.argv[:1]  # RecBole would read the same options once more, by its own rules
    _, warnings = try_configuration(model, dataset, files, overrides)
    for warning in warnings:
        print(f"run_recbole: warning: {warning}", file=sys.stderr)  # noqa: T201
    run(model, dataset, files, dict(overrides), processes)
    return 0


def run_recbole_group(argv: Sequence[str] | None = None) -> int:
    """The command ``run_recbole_group``: train and test several models on the same parts, and compare them.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status: 0, or 1 if a run has failed.
    """
    parser = argparse.ArgumentParser(
        prog="run_recbole_group",
        description="Train and test several models on the same parts of a data set, and compare them.",
        epilog="\n".join(
            [
                "Any key of the configuration can be given as --key=value, for all models. A model has keys and a",
                'name of its own as in --model_list="BPR,SiBraR,text=SiBraR:item_modalities=[interactions,text]".',
                "A comparison that is started again repeats no run that has finished.",
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model_list", "-m", metavar="A,B", help="models (default: the configuration's model_list)")
    parser.add_argument("--dataset", "-d", help="name of the data set (default: the configuration's, else ml-100k)")
    parser.add_argument("--config_files", metavar='"FILE ..."', default="", help="as for run_recbole")
    parser.add_argument(
        "--splits",
        metavar="A,B",
        default="",
        help="configurations, such as cold_start_item,warm: a comparison with each of them, in a folder of its name",
    )
    parser.add_argument("--seeds", default="1", help="number of seeds, or seeds separated by commas (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each a process (default: 1)")
    parser.add_argument("--output", metavar="DIR", default="comparison", help="folder of the results")
    args, rest = parser.parse_known_args(argv)
    return _reporting(parser.prog, lambda: _run_recbole_group(args, rest), debug="--state=DEBUG" in rest)


def _run_recbole_group(args: argparse.Namespace, rest: Sequence[str]) -> int:
    from recbole_sibrar.quick_start import comparison, group  # loads statsmodels, which no other command waits for

    if args.jobs < 1:
        refuse("--jobs", args.jobs, "a positive number of processes")
    sys.argv = sys.argv[:1]  # RecBole would read the same options once more, by its own rules
    plans = _plan_group(args, parse_overrides(rest))
    _output_folder(args.output)
    runs = [run for _, planned in plans.values() for run in planned]
    try:
        failed = group.execute(runs, args.jobs, _note_group)
    except KeyboardInterrupt:
        done = f"{sum(run.finished for run in runs)} of {len(runs)} runs are finished"
        _note_group(f"interrupted; {done}, the same command goes on with the others")
        return INTERRUPTED
    for output, (title, planned) in plans.items():
        print(comparison.write(planned, output, title))  # noqa: T201
        print(f"written: {output}")  # noqa: T201
    return 1 if failed else 0


def _plan_group(args: argparse.Namespace, overrides: dict[str, str]) -> dict[Path, tuple[str, list[Any]]]:
    """For each folder of results a title, and the runs."""
    from recbole_sibrar.quick_start import group

    plans: dict[Path, tuple[str, list[group.Run]]] = {}
    for split in args.splits.split(",") if args.splits else [""]:
        names = [*args.config_files.split(), *([split] if split else [])]
        files = [configuration_file(name) for name in names]
        keys = _keys_of_files(files)
        variants = parse_variants(args.model_list or keys.get("model_list") or "", model_names())
        dataset = args.dataset or overrides.get("dataset") or keys.get("dataset", "ml-100k")
        output = Path(args.output, Path(split).stem)
        if output in plans:
            refuse("--splits", args.splits, "names that differ, each of which is a folder of the results")
        title = " ".join([dataset, *names, *(f"{key}={value}" for key, value in overrides.items())])
        seeds = functools.partial(parse_seeds, args.seeds)
        plans[output] = title, group.plan(variants, dataset, files, overrides, seeds, output, _note_group)
    return plans


def _note_group(line: str) -> None:
    tqdm.write(f"run_recbole_group: {line}", file=sys.stderr)


def parse_overrides(arguments: Sequence[str]) -> dict[str, str]:
    """Read ``--key=value`` arguments.

    Args:
        arguments: What is left of a command line when its own options are taken out.

    Returns:
        Key -> value as it was written.

    Raises:
        ConfigError: An argument has another form, which RecBole would ignore, or a key has two values.
    """
    overrides: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals or not key:
            following = arguments[position + 1] if position + 1 < len(arguments) else "value"
            key = key or "key"
            hint = f"write --{key}={following}" if argument.startswith("--") else "write --key=value"
            raise ConfigError(f"'{argument}' has no effect in this form; {hint}")
        if overrides.get(key, value) != value:
            raise ConfigError(f"--{key}: found two values, '{overrides[key]}' and '{value}', allowed is one")
        overrides[key] = value
    return overrides


def _keys_of_files(files: Sequence[str]) -> dict[str, Any]:
    """The keys of yaml files, checked so far that RecBole can read them."""
    keys: dict[str, Any] = {}
    for file in files:
        try:
            content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"--config_files: cannot read {file}: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"--config_files: {file} is not yaml: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise ConfigError(f"--config_files: {file} has to hold lines 'key: value', found {content!r}")
        keys.update(content)
    return keys


def _reporting(program: str, command: Callable[[], int], debug: bool) -> int:
    """Run a command; wrong input ends in one line on standard error instead of a traceback."""
    try:
        return command()
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except (ValueError, NotImplementedError) as error:
        if debug:
            traceback.print_exc()
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return WRONG_INPUT


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
    return _reporting(program, lambda: args.run(args), debug=bool(os.environ.get("DEBUG")))


def _prepare(arguments: Sequence[str]) -> int:
    """Run the converters, which have a parser of their own and are loaded when they are needed."""
    from recbole_sibrar.dataset_prep import command

    return _reporting("recbole-sibrar prepare", lambda: command.main(arguments, print), bool(os.environ.get("DEBUG")))


def _add_missing(commands: Any) -> None:
    about = "evaluate trained models with missing modalities, without training them again"
    parser = commands.add_parser("missing", help=about, description=about, allow_abbrev=False)
    parser.set_defaults(run=_missing)
    parser.add_argument("checkpoints", metavar="CHECKPOINT", nargs="+", help="file that a training run saved")
    parser.add_argument("--side", default="item", help="whose modalities are missing: item (default) or user")
    parser.add_argument("--modalities", metavar="A,B", help="modalities that can be missing (default: all)")
    parser.add_argument("--rates", default=missing.RATES, help="shares of values to lose (default: %(default)s)")
    parser.add_argument("--seeds", default="5", help="number of random draws at each rate (default: %(default)s)")
    parser.add_argument("--metric", help="metric of the figure, such as recall@10 (default: that of the validation)")
    parser.add_argument("--output", metavar="DIR", default="missing", help="folder of the results (default: missing)")


def _missing(args: argparse.Namespace) -> int:
    from recbole_sibrar.report import curves  # loads Matplotlib, which no other command waits for

    plan = missing.read_plan(args.side, args.modalities, args.rates, args.seeds)
    folder = _output_folder(args.output)
    frame, metric = missing.run(args.checkpoints, plan, args.metric and args.metric.lower(), _note)
    missing.write_table(frame, folder / "missing.csv")
    figure = curves.missing_curves(frame, metric)
    for suffix in ("png", "pdf"):
        curves.save_figure(figure, folder / f"missing.{suffix}")
    print(missing.table(frame, metric))  # noqa: T201
    print(f"written: {folder / 'missing.csv'}, missing.png, missing.pdf")  # noqa: T201
    return 0


def _output_folder(name: str) -> Path:
    """The folder of ``--output``, made if it does not exist.

    Raises:
        ConfigError: It cannot be written to.
    """
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"--output: cannot write to {folder}: {error.strerror}") from None
    return folder


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
        help="parquet file of save_per_user, or several of different seeds, joined by +",
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
