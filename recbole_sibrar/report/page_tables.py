"""Tables of the page, as rows of cells for its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import isinf, isnan
from typing import Any

import pandas as pd
from recbole.evaluator.register import smaller_metrics
from scipy import stats

from recbole_sibrar.names import ALL, COLD, WARM, without_view
from recbole_sibrar.plotting.chart import seed_values
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.quick_start.group import summary
from recbole_sibrar.quick_start.group.summary import Cell
from recbole_sibrar.studies.gap.tables import LABELS


@dataclass(frozen=True)
class Value:
    """A cell."""

    text: str
    """Text of the cell."""
    sort: float | str | None = None
    """Key for sorting; None for the text, and for the last place."""
    minor: str = ""
    """Small letters after the text."""
    hint: str = ""
    """Details, shown to a pointer."""
    rank: int = 0
    """1 for the best of a column, 2 for the second."""
    significant: bool = False
    """True if it is significantly better than every other."""
    numeric: bool = False
    """True for a number."""


@dataclass(frozen=True)
class Table:
    """A sortable table."""

    name: str
    """Identifier on the page."""
    caption: str
    """Caption."""
    columns: Sequence[str]
    """Titles; the first column has the heads of the rows."""
    rows: Sequence[Sequence[Value]]
    """A cell for each column."""
    choice: str = ""
    """Criterion for selecting rows, such as ``metric``; empty for none."""
    groups: Sequence[str] = field(default_factory=list)
    """For each row its value of the choice."""

    @property
    def numeric(self) -> list[bool]:
        """True for each column with numbers."""
        # One number is enough: the other cells may be dashes.
        found = [False] * len(self.columns)
        for row in self.rows:
            for i, cell in enumerate(row):
                found[i] |= cell.numeric
        return found


def number(value: float | None, form: str = ".4f", **options: Any) -> Value:
    """Make a cell with a number, or a dash for a missing one.

    Example:
        >>> number(0.25).text, number(float("nan")).text
        ('0.2500', '-')
    """
    if value is None or isnan(value):
        return Value("-", None, numeric=True, **options)
    if isinf(value):
        return Value(f"{value:g}", value, numeric=True, **options)
    # Six digits are enough to sort by.
    return Value(format(value, form), float(f"{value:.6g}"), numeric=True, **options)


def p_value(p: float) -> Value:
    """Make a cell with a p-value."""
    # Sorted by its value all the same.
    return Value("< 0.0001", p, numeric=True) if p < 1e-4 else number(p)


def p_text(p: float) -> str:
    """Write a p-value.

    Example:
        >>> p_text(0.0312), p_text(1e-9)
        ('p = 0.031', 'p < 0.0001')
    """
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def _title(metric: str) -> str:
    is_smaller_better = metric.split("@")[0] in smaller_metrics
    note = "\n(less is better)" if is_smaller_better else ""
    return f"{metric_title(metric)}{note}"


def results_table(
    cells: Mapping[str, Sequence[Cell]], results: pd.DataFrame, metrics: Sequence[str]
) -> Table:
    """Make the table of the results of all models: mean and standard deviation over the seeds.

    Args:
        cells: Result of :func:`~recbole_sibrar.quick_start.group.summary.cells`.
        results: A row for each run.
        metrics: The metrics, in order. Metrics in views make a table with three columns for each
            metric.
    """
    blocks = summary.blocks(metrics)
    has_views = any(without_view(metric)[1] for metric in metrics)
    columns = _columns(blocks) if has_views else metrics

    rows = []
    groups = []
    for block in blocks:
        places = dict(zip(block.titles, block.places, strict=True))
        for name, row in cells.items():
            runs = results[results["name"] == name]
            found = {title: _mean(row[i], runs, metrics[i]) for title, i in places.items()}
            values = [found.get(title, number(None)) for title in columns]
            rows.append([Value(name), *values, number(float(runs["minutes"].mean()), ".1f")])
            groups.append(_title(block.head).replace("\n", " "))

    several = results["seed"].nunique() > 1
    seeds = "mean and standard deviation over the seeds" if several else "one seed"
    caption = f"Test results: {seeds}; minutes of a run"
    if not has_views:
        return Table("results", caption, ["Model", *map(_title, metrics), "Minutes"], rows)

    views = {COLD: "Cold:\nnew", WARM: "Warm:\nknown", ALL: "All"}
    titles = [views[title] for title in columns]
    return Table("results", caption, ["Model", *titles, "Minutes"], rows, "metric", groups)


def _columns(blocks: Sequence[summary.Block]) -> list[str]:
    """List the views that any metric has; another one may lack some of them."""
    known = set(chain.from_iterable(block.titles for block in blocks))
    return [view for view in (COLD, WARM, ALL) if view in known]


def _mean(cell: Cell, runs: pd.DataFrame, metric: str) -> Value:
    shown = number(cell.mean)
    deviation = "" if isnan(cell.deviation) else f"± {cell.deviation:.4f}"
    return Value(
        text=shown.text,
        sort=shown.sort,
        minor=deviation,
        hint=seed_values(runs, metric),
        # Only the best two are marked.
        rank=cell.rank if cell.rank <= 2 else 0,
        significant=cell.significant,
        numeric=True,
    )


def runs_table(
    results: pd.DataFrame,
    metrics: Sequence[str],
    details: Mapping[tuple[str, int], Sequence[Value]],
) -> Table:
    """Make the table of all runs and their results.

    Args:
        results: A row for each run.
        metrics: The metrics, in order.
        details: Name and seed -> number of epochs trained, memory in MB, and folder of the run.
    """
    rows = []
    for _, row in results.iterrows():
        head = [Value(row["name"]), Value(row["model"]), number(row["seed"], "d")]
        scores = [number(row[metric]) for metric in ("valid_score", *metrics)]
        minutes = number(row["minutes"], ".2f")
        # A run without its folder has only its row.
        others = details.get((row["name"], row["seed"]), [Value("-")] * 3)
        rows.append([*head, *scores, minutes, *others])

    columns = [
        "Model",
        "Class",
        "Seed",
        "Validation",
        *map(_title, metrics),
        "Minutes",
        "Epochs\ntrained",
        "Memory (MB)",
        "Folder",
    ]
    return Table("runs", "Every run: best validation result, test results, effort", columns, rows)


def corrected_interval(row: Mapping[Any, Any], n_pairs: int) -> tuple[float, float]:
    """Widen a 95 % interval of Student's t by Bonferroni's correction, as its p-value.

    Args:
        row: ``low``, ``high`` and ``n_users`` of a comparison.
        n_pairs: Number of comparisons in the metric.

    Example:
        >>> low, high = corrected_interval({"low": 0.1, "high": 0.3, "n_users": 1000}, 15)
        >>> round(low, 3), round(high, 3)
        (0.05, 0.35)
    """
    # Bonferroni: each of n intervals leaves 5 % / n, half of it on each side.
    freedom = row["n_users"] - 1
    wider = stats.t.ppf(1 - 0.025 / n_pairs, freedom) / stats.t.ppf(0.975, freedom)

    middle = (row["low"] + row["high"]) / 2
    half = (row["high"] - row["low"]) / 2 * wider
    return float(middle - half), float(middle + half)


def significance_table(frame: pd.DataFrame, level: float) -> Table:
    """Make the table of all pairs of models.

    Args:
        frame: The table of :func:`~recbole_sibrar.studies.significance.measures.compare_all`.
        level: Differences with a smaller p-value are called significant.
    """
    rows = []
    groups = []
    # The correction counts the pairs of one metric.
    n_pairs = frame["metric"].value_counts()
    for row in frame.to_dict("records"):
        rows.append(_pair(row, int(n_pairs[row["metric"]]), level))
        groups.append(metric_title(row["metric"]))

    columns = [
        "First",
        "Second",
        "Users",
        "Mean of\nfirst",
        "Mean of\nsecond",
        "Difference, 95 %\n(corrected)",
        "Effect\nsize",
    ]
    columns += ["p\n(t-test)", "p\n(Wilcoxon)", "Larger mean"]
    caption = "Paired tests over users; "
    caption += "intervals and p-values after Bonferroni's correction for all pairs"
    return Table("significance", caption, columns, rows, "metric", groups)


def _pair(row: Mapping[Any, Any], n_pairs: int, level: float) -> list[Value]:
    """Make the row of a pair of models."""
    # The middle of the interval is the mean difference.
    larger = row["a"] if row["low"] + row["high"] > 0 else row["b"]
    is_significant = row["p_t_bonferroni"] < level

    low, high = corrected_interval(row, n_pairs)
    hint = f"without correction: {row['low']:+.4f} to {row['high']:+.4f}"
    return [
        Value(row["a"]),
        Value(row["b"]),
        number(row["n_users"], "d"),
        number(row["mean_a"]),
        number(row["mean_b"]),
        Value(f"{low:+.4f} to {high:+.4f}", low, hint=hint, numeric=True),
        number(row["effect"], "+.3f"),
        p_value(row["p_t_bonferroni"]),
        p_value(row["p_wilcoxon_bonferroni"]),
        Value(larger if is_significant else "no difference shown"),
    ]


def subsets_table(frame: pd.DataFrame, metrics: Sequence[str]) -> Table:
    """Make the table of results with only some of the modalities.

    Args:
        frame: Rows of a study of missing modalities, with a column ``name`` for the model.
        metrics: The metrics, in order.
    """
    subsets = frame[frame["experiment"] == "subset"]
    rows = []
    groups = subsets.groupby(["name", "side", "modalities"], sort=False)
    for (name, side, modalities), part in groups:
        # Over the checkpoints of a model.
        values = [number(float(part[metric].mean())) for metric in metrics]
        rows.append([Value(str(name)), Value(f"{side}: {modalities}"), *values])

    columns = ["Model", "Modalities that are left", *map(_title, metrics)]
    return Table("subsets", "Test results with only some of the modalities", columns, rows)


def gap_table(frame: pd.DataFrame) -> Table:
    """Make the table of the measures of the modality gap, means over the checkpoints of each model.

    Args:
        frame: Rows of measurements, with a column ``name`` for the model.
    """
    names: list[str] = list(dict.fromkeys(frame["name"].tolist()))
    keys = ["measure", "first", "second", "name"]
    # dropna=False: measures of all modalities together have no names of two.
    groups_of_rows = frame.groupby(keys, sort=False, dropna=False)
    means = groups_of_rows[["value", "low", "high"]].mean().reset_index()

    values: dict[tuple[str, str], dict[str, Value]] = {}
    for row in means.to_dict("records"):
        # One name for a modality with itself.
        pair = dict.fromkeys([_modality(row["first"]), _modality(row["second"])])
        hint = "" if pd.isna(row["low"]) else f"{row['low']:.4f} to {row['high']:.4f}"
        cells = values.setdefault((row["measure"], " - ".join(pair)), {})
        cells[row["name"]] = number(row["value"], hint=hint)

    rows = []
    groups = []
    for (measure, pair_title), known in values.items():
        rows.append([Value(pair_title), *(known.get(name, Value("-")) for name in names)])
        groups.append(LABELS.get(measure, measure).format(side="item"))
    caption = "Measures of the modality gap; a pointer reads the intervals"
    return Table("gap", caption, ["Modalities", *names], rows, "measure", groups)


def _modality(name: Any) -> str:
    """Name of a modality; pandas reads a missing one as NaN."""
    return "all" if pd.isna(name) else str(name)


def configuration_tables(configurations: Mapping[str, Mapping[str, Any]]) -> tuple[Table, Table]:
    """Make the tables of differing and of shared configuration keys.

    Args:
        configurations: Name of the model -> key -> value.
    """
    own = []
    shared = []
    for key in sorted(set().union(*configurations.values())):
        models: dict[str, list[str]] = {}
        for name, known in configurations.items():
            models.setdefault(_shown(known, key), []).append(name)

        if len(models) == 1:
            shared.append([Value(key), Value(next(iter(models)))])
            continue
        for value, names in models.items():
            own.append([Value(key), Value(value), Value(", ".join(names))])

    caption = "Keys that differ between models; a dash: the model has no such key"
    differing = Table("differing", caption, ["Key", "Value", "Models"], own)
    return differing, Table("shared", "Keys that all models share", ["Key", "Value"], shared)


def _shown(configuration: Mapping[str, Any], key: str) -> str:
    """Write the value of a key; a dash without the key."""
    return _written(configuration[key]) if key in configuration else "-"


def _written(value: object) -> str:
    """Write a value as in yaml and on the command line."""
    if isinstance(value, dict):
        pairs = [f"{name}: {_written(part)}" for name, part in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return "null" if value is None else str(value)


def versions_table(name: str, caption: str, packages: Mapping[str, set[str]]) -> Table:
    """Make a table of packages and their versions.

    Args:
        name: Identifier of the table on the page.
        caption: What it shows.
        packages: Name -> versions in the runs.
    """
    rows = []
    for package, versions in packages.items():
        rows.append([Value(package), Value(", ".join(sorted(versions)))])
    return Table(name, caption, ["Package", "Version"], rows)
