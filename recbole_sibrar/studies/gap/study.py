"""``recbole-sibrar gap``: how far apart trained models put the modalities of the same item or user."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path
from typing import cast

import pandas as pd
import recbole.quick_start
from tqdm import tqdm

from recbole_sibrar.config import ConfigError, nearest, refuse
from recbole_sibrar.config.values import optional_names_value
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.evaluator.embeddings import WHICH, ModalityEmbeddings, modality_embeddings
from recbole_sibrar.files import replacing
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.plotting.curves import line_names, save_figure
from recbole_sibrar.studies.checkpoints import quiet, with_modalities
from recbole_sibrar.studies.gap import plots, tables
from recbole_sibrar.studies.gap.measures import MAX_ITEMS, measure_gap

PROJECTIONS = ("pca", "tsne", "umap")
"""Ways to two dimensions; UMAP needs a package that is no requirement."""

N_SHOWN = 1000
"""Items that the figures draw or count, at most."""

SERIES_COLUMNS = ("epochs", "side", "first", "second", "measure", "value", "low", "high")
"""Columns of the file that training writes with ``gap_every``."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    side: Side = "item"
    """Whose modalities."""
    items: str = "all"
    """Which entities of that side: all, train (with training interactions) or new (without)."""
    modalities: tuple[str, ...] | None = None
    """The modalities to compare; None for those that the model evaluates."""
    seed: int = 0
    """Of what is drawn."""
    max_items: int = MAX_ITEMS
    """Up to so many entities everything is exact."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: One is not allowed.
        """
        for option, value, allowed in (("--side", self.side, SIDES), ("--items", self.items, WHICH)):
            if value not in allowed:
                refuse(option, value, f"one of {', '.join(allowed)}{nearest(str(value), allowed)}")
        if self.seed < 0:
            refuse("--seed", self.seed, "an integer of at least 0")
        if self.max_items < 2:
            refuse("--max_items", self.max_items, "an integer of at least 2")


@dataclass(frozen=True)
class Measured:
    """What was measured of one checkpoint."""

    name: str
    """What tables and figures call it."""
    frame: pd.DataFrame
    """``name``, ``model``, ``checkpoint``, ``side``, ``items``, then the columns of
    :func:`~recbole_sibrar.studies.gap.measures.measure_gap`."""
    sample: ModalityEmbeddings = field(repr=False)
    """Embeddings for the figures."""


def read_options(side: str, items: str, modalities: str | None, seed: str, max_items: str) -> Options:
    """Read the options of the command.

    Args:
        side: ``item`` or ``user``.
        items: ``all``, ``train`` or ``new``.
        modalities: Names separated by commas; None for all.
        seed: An integer.
        max_items: An integer.

    Raises:
        ConfigError: An option has a value that is not allowed.
    """
    names = optional_names_value("--modalities", modalities)
    numbers = (_integer("--seed", seed), _integer("--max_items", max_items))
    return Options(cast(Side, side), items, names, *numbers)


def _integer(option: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        refuse(option, value, "an integer")
    return int(value)


def check_projection(name: str) -> None:
    """Check that a projection can be made.

    Raises:
        ConfigError: It is unknown, or its package is not installed.
    """
    if name not in PROJECTIONS:
        refuse("--projection", name, f"one of {', '.join(PROJECTIONS)}{nearest(name, PROJECTIONS)}")
    if name == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError("--projection: umap needs a package that is not installed: pip install umap-learn")


def _named(argument: str) -> tuple[str, str]:
    """Name and file of ``NAME=FILE``; no name for a file alone, whose path may have a = in it."""
    name, equals, file = argument.partition("=")
    if not equals or os.path.sep in name or os.path.exists(argument):
        return "", argument
    return name, file


def measure_checkpoint(
    path: str, options: Options | None = None, name: str = "", data_path: str | None = None
) -> pd.DataFrame:
    """Measure the modality gap of one trained model.

    Args:
        path: File that RecBole wrote. Its data set is loaded and split as its configuration says.
        options: What is measured; None for the items' modalities.
        name: For the column ``name``; the model's name if empty.
        data_path: Folder of the data, where they are not those that the checkpoint names.

    Returns:
        See :attr:`Measured.frame`.

    Raises:
        ConfigError: The model encodes no modalities or fewer than two, or the data do not fit it.
    """
    with_modalities([path], lambda line: None, "")
    return _measure(path, options or Options(), name, getLogger().warning, data_path).frame


def _measure(path: str, options: Options, name: str, note: Callable[[str], None], data_path: str | None) -> Measured:
    with quiet():
        try:
            config, model, _, train_data, *_ = recbole.quick_start.load_data_and_model(path, data_path=data_path)
            found = modality_embeddings(model, options.side, options.modalities, options.items)
        except CheckpointError:
            raise
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from error
    if train_data.data_note:
        note(train_data.data_note)
    missing = [x for x in options.modalities or model.encoder_of(options.side).modalities if x not in found.names]
    if missing and (options.modalities or model.encoder_of(options.side).config.eval_modalities is None):
        note(f"{path}: none of the {options.side}s ({options.items}) has {', '.join(missing)}")
    frame = measure_gap(found.embeddings, found.available, found.names, seed=options.seed, max_items=options.max_items)
    about = {"model": config["model"], "checkpoint": path, "side": options.side, "items": options.items}
    for position, (column, value) in enumerate({"name": name or config["model"], **about}.items()):
        frame.insert(position, column, value)
    return Measured(name or config["model"], frame, found.sample(N_SHOWN, options.seed))


def run(
    checkpoints: Sequence[str], options: Options, note: Callable[[str], None], data_path: str | None = None
) -> list[Measured]:
    """Measure several trained models, one after the other.

    Args:
        checkpoints: Files that RecBole wrote, or ``NAME=FILE``.
        options: What is measured.
        note: Takes lines about what is left out.
        data_path: Folder of the data, where they are not those that the checkpoints name.

    Raises:
        ConfigError: No checkpoint has modalities, a name occurs twice, or see :func:`measure_checkpoint`.
    """
    names = {file: name for name, file in map(_named, checkpoints)}
    files = with_modalities(list(names), note, "there is no gap to measure")
    found = [_measure(file, options, names[file], note, data_path) for file in tqdm(files, leave=False, disable=None)]
    frame = pd.concat([measured.frame.iloc[:1] for measured in found])
    automatic = line_names(frame)
    named = [
        Measured(name, measured.frame.assign(name=name), measured.sample)
        for measured, name in zip(found, (names[file] or automatic[file] for file in files), strict=True)
    ]
    labels = [measured.name for measured in named]
    if len(set(labels)) < len(labels):
        refuse("CHECKPOINT", ", ".join(labels), "names that differ, as in first=a.pth second=b.pth")
    return named


def write(
    found: Sequence[Measured], series: Mapping[str, pd.DataFrame], options: Options, projection: str, folder: Path
) -> tuple[str, list[str]]:
    """Write tables and figures.

    Args:
        found: Measured checkpoints; may be empty.
        series: What :func:`read_series` returns; may be empty.
        options: What was measured.
        projection: One of :data:`PROJECTIONS`.
        folder: Where to.

    Returns:
        The table for the terminal (empty without checkpoints), and the names of the files that were written.
    """
    figures, text, files = {}, "", []
    if found:
        frame = pd.concat([measured.frame for measured in found], ignore_index=True)
        for file, content in (("gap.csv", frame.to_csv(index=False)), ("gap.tex", tables.latex(frame))):
            with replacing(folder / file) as temporary:
                temporary.write_text(content, encoding="utf-8")
            files.append(file)
        samples = {measured.name: measured.sample for measured in found}
        figures["projection"] = plots.projection(samples, projection, options.seed)
        figures["distances"] = plots.histograms(samples, options.side)
        figures["heat_map"] = plots.heat_map(frame)
        text = tables.table(frame)
    if series:
        figures["series"] = plots.series(series, options.side)
    for name, figure in figures.items():
        for suffix in ("png", "pdf"):
            save_figure(figure, folder / f"{name}.{suffix}")
            files.append(f"{name}.{suffix}")
    return text, files


def read_series(arguments: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the files that training wrote with ``gap_every``.

    Args:
        arguments: Files, or ``NAME=FILE``.

    Returns:
        Name -> rows with the columns :data:`SERIES_COLUMNS`.

    Raises:
        ConfigError: A file cannot be read, or is no such file; a name occurs twice.
    """
    series: dict[str, pd.DataFrame] = {}
    for argument in arguments:
        name, file = _named(argument)
        try:
            frame = pd.read_csv(file, keep_default_na=False, na_values=[""], dtype={"first": str, "second": str})
        except (OSError, ValueError) as error:
            raise ConfigError(f"--series: cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
        lacking = [column for column in SERIES_COLUMNS if column not in frame.columns]
        if lacking:
            refuse(f"--series: {file}", ", ".join(frame.columns), f"a file of gap_every, with the column {lacking[0]}")
        label = name or Path(file).stem
        if label in series:
            refuse("--series", label, "names that differ, as in first=a.csv second=b.csv")
        series[label] = frame.fillna({"first": "", "second": ""})
    return series
