"""``recbole-sibrar gap``: distances between the modalities of an item or user in trained models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path

import pandas as pd
import recbole.quick_start
from tqdm import tqdm

from recbole_sibrar.config import refuse
from recbole_sibrar.evaluator.embeddings import ModalityEmbeddings, modality_embeddings
from recbole_sibrar.files import replacing
from recbole_sibrar.plotting.style import line_names, save_figure
from recbole_sibrar.studies.checkpoints import checkpoint_errors, quiet, with_modalities
from recbole_sibrar.studies.files import write_table
from recbole_sibrar.studies.gap import plots, tables
from recbole_sibrar.studies.gap.measures import measure_gap
from recbole_sibrar.studies.gap.options import (
    PROJECTIONS,
    Options,
    split_name,
)
from recbole_sibrar.studies.gap.series import SERIES_COLUMNS, read_series

__all__ = [
    "PROJECTIONS",
    "SERIES_COLUMNS",
    "Measured",
    "Options",
    "measure",
    "measure_checkpoint",
    "read_series",
    "run",
    "write",
]

N_SHOWN = 1000
"""Largest number of items in the figures."""


@dataclass(frozen=True)
class Measured:
    """Measures of one checkpoint."""

    name: str
    """Name in tables and figures."""
    frame: pd.DataFrame
    """``name``, ``model``, ``checkpoint``, ``side``, ``items``, then the columns of
    :func:`~recbole_sibrar.studies.gap.measures.measure_gap`."""
    sample: ModalityEmbeddings = field(repr=False)
    """Embeddings for the figures."""


def measure_checkpoint(
    path: str, options: Options | None = None, name: str = "", data_path: str | None = None
) -> pd.DataFrame:
    """Measure the modality gap of one trained model.

    Args:
        path: File written by RecBole. Its data set is loaded and split as in its training.
        options: Options of the measurement; None for the items' modalities.
        name: For the column ``name``; the model's name if empty.
        data_path: Folder of the data, if they have moved since training.

    Returns:
        See :attr:`Measured.frame`.

    Raises:
        ConfigError: The model encodes no modalities or fewer than two, or the data do not fit it.
    """
    return measure(path, options, name, data_path).frame


def measure(
    path: str, options: Options | None = None, name: str = "", data_path: str | None = None
) -> Measured:
    """Measure one trained model, with embeddings for figures; see :func:`measure_checkpoint`."""
    with_modalities([path], lambda line: None, "")
    return _measure(path, options or Options(), name, getLogger().warning, data_path)


def _measure(
    path: str, options: Options, name: str, note: Callable[[str], None], data_path: str | None
) -> Measured:
    with quiet(), checkpoint_errors(path):
        loaded = recbole.quick_start.load_data_and_model(path, data_path=data_path)
        config, model, _, train_data, *_ = loaded
        found = modality_embeddings(model, options.side, options.modalities, options.items)

    if train_data.data_note:
        note(train_data.data_note)

    encoder = model.encoder_of(options.side)
    asked = options.modalities or encoder.modalities
    missing = [modality for modality in asked if modality not in found.names]
    # Those that eval_modalities leaves out are not asked for, and are no surprise.
    if missing and (options.modalities or encoder.config.eval_modalities is None):
        note(f"{path}: none of the {options.side}s ({options.items}) has {', '.join(missing)}")

    frame = measure_gap(
        found.embeddings,
        found.available,
        found.names,
        seed=options.seed,
        max_items=options.max_items,
    )
    about = {
        "name": name or config["model"],
        "model": config["model"],
        "checkpoint": path,
        "side": options.side,
        "items": options.items,
    }
    for position, (column, value) in enumerate(about.items()):
        frame.insert(position, column, value)
    return Measured(name or config["model"], frame, found.sample(N_SHOWN, options.seed))


def run(
    checkpoints: Sequence[str],
    options: Options,
    note: Callable[[str], None],
    data_path: str | None = None,
) -> list[Measured]:
    """Measure several trained models, one after the other.

    Args:
        checkpoints: Files written by RecBole, or ``NAME=FILE``.
        options: Options of the measurement.
        note: Receives a line about each model left out.
        data_path: Folder of the data, if they have moved since training.

    Raises:
        ConfigError: No checkpoint has modalities, a name occurs twice, or see
            :func:`measure_checkpoint`.
    """
    names = {}
    for checkpoint in checkpoints:
        name, file = split_name(checkpoint)
        names[file] = name

    files = with_modalities(list(names), note, "there is no gap to measure")
    found = []
    for file in tqdm(files, leave=False, disable=None):
        found.append(_measure(file, options, names[file], note, data_path))

    # Only all checkpoints together show which parts of their names differ.
    first_rows = pd.concat([measured.frame.iloc[:1] for measured in found])
    automatic = line_names(first_rows)
    named = []
    for file, measured in zip(files, found, strict=True):
        name = names[file] or automatic[file]
        named.append(Measured(name, measured.frame.assign(name=name), measured.sample))

    labels = [measured.name for measured in named]
    if len(set(labels)) < len(labels):
        refuse("CHECKPOINT", ", ".join(labels), "names that differ, as in first=a.pth second=b.pth")
    return named


def write(
    found: Sequence[Measured],
    series: Mapping[str, pd.DataFrame],
    options: Options,
    projection: str,
    folder: Path,
) -> tuple[str, list[str]]:
    """Write tables and figures.

    Args:
        found: Measured checkpoints; may be empty.
        series: Result of :func:`read_series`; may be empty.
        options: Options of the measurement.
        projection: One of :data:`PROJECTIONS`.
        folder: Folder of the files.

    Returns:
        The table for the terminal (empty without checkpoints), and the names of the written files.
    """
    figures = {}
    text = ""
    files = []

    if found:
        frame = pd.concat([measured.frame for measured in found], ignore_index=True)
        text = tables.table(frame)
        write_table(frame, folder / "gap.csv")
        with replacing(folder / "gap.tex") as temporary:
            temporary.write_text(tables.latex(frame), encoding="utf-8")
        files += ["gap.csv", "gap.tex"]

        samples = {measured.name: measured.sample for measured in found}
        figures["projection"] = plots.projection(samples, projection, options.seed)
        figures["distances"] = plots.histograms(samples, options.side)
        figures["heat_map"] = plots.heat_map(frame)
    if series:
        figures["series"] = plots.series(series, options.side)

    # PNG for the screen, PDF for papers.
    for name, figure in figures.items():
        for suffix in ("png", "pdf"):
            save_figure(figure, folder / f"{name}.{suffix}")
            files.append(f"{name}.{suffix}")
    return text, files
