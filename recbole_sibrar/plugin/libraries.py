"""Repairs of RecBole 1.2.1 for NumPy 2, pandas 3 and SciPy 1.13.

Each pair of functions tests for a fault with the installed libraries, and repairs it. Results are
the same as with the older libraries.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import recbole.data.dataset.dataset as of_dataset
import recbole.data.dataset.kg_dataset as of_kg_dataset
import recbole.data.dataset.sequential_dataset as of_sequential_dataset
from recbole.config import Config
from recbole.data.dataset import Dataset
from recbole.evaluator import Evaluator
from recbole.utils import FeatureType
from scipy.sparse import dok_matrix

__all__ = [
    "needs_fill",
    "needs_lengths",
    "needs_matrices",
    "needs_names",
    "needs_plain_results",
    "repair_fill",
    "repair_lengths",
    "repair_matrices",
    "repair_names",
    "repair_plain_results",
]

_NAMES: Mapping[str, type] = {
    "bool": np.bool_,
    "int": np.int_,
    "float": np.float64,
    "complex": np.complex128,
    "object": np.object_,
    "str": np.str_,
    "long": np.int_,
    "unicode": np.str_,
}
"""Names of NumPy 1.19 that RecBole uses, with the types that RecBole gives them."""

_IS_PANDAS_3 = int(pd.__version__.partition(".")[0]) >= 3


def needs_names() -> bool:
    """Tell whether NumPy 2 lacks the types to which RecBole binds older names."""
    return not hasattr(np, "float_")


def repair_names() -> None:
    """Bind the older names of NumPy to the same types as RecBole does on NumPy 1."""

    def compatibility_settings(self: Config) -> None:
        for name, kind in _NAMES.items():
            setattr(np, name, kind)

    Config.compatibility_settings = compatibility_settings


def needs_plain_results() -> bool:
    """Tell whether numbers of NumPy are printed with their type, as in ``np.float64(0.25)``."""
    return repr(np.float64(0.25)) != "0.25"


def repair_plain_results() -> None:
    """Return the results of an evaluation as numbers of Python."""
    original = Evaluator.evaluate

    @functools.wraps(original)
    def evaluate(self: Evaluator, collected: Any) -> Any:
        results = original(self, collected)
        for name, value in results.items():
            if isinstance(value, np.generic):
                results[name] = value.item()
        return results

    Evaluator.evaluate = evaluate


def needs_lengths() -> bool:
    """Tell whether ``series.agg(len)`` counts the rows and not the elements of each row."""
    # pandas 2 would warn about the attempt
    return _IS_PANDAS_3


def repair_lengths() -> None:
    """Let RecBole's ``series.agg(len)`` give the length of each row again."""
    # pandas 3 hands the whole series to the function. RecBole's modules for data sets ask for no
    # other length of a series, so their len can take it apart.
    for module in (of_dataset, of_kg_dataset, of_sequential_dataset):
        vars(module)["len"] = _length


def _length(values: Any) -> Any:
    """Return the length of each row of a series, and of anything else its own."""
    if isinstance(values, pd.Series):
        return values.map(builtins.len)
    return builtins.len(values)


def needs_fill() -> bool:
    """Tell whether ``frame[field].fillna(..., inplace=True)`` changes a copy, not the frame."""
    return _IS_PANDAS_3


def repair_fill() -> None:
    """Fill missing values where RecBole's statements fill a copy."""
    of_dataset.pd = _FillingPandas("pandas")
    original = Dataset._fill_nan

    @functools.wraps(original)
    def fill_nan(self: Dataset) -> None:
        # afterwards, RecBole's own statements find nothing to fill
        for name in self.feat_name_list:
            _fill_frame(self, getattr(self, name))
        original(self)

    Dataset._fill_nan = fill_nan


def _fill_frame(dataset: Dataset, frame: pd.DataFrame) -> None:
    """Fill the tokens of a frame with the padding, and its numbers with their mean."""
    for field in frame:
        kind = dataset.field2type[field]
        if kind is FeatureType.TOKEN:
            frame[field] = frame[field].fillna(0)
        elif kind is FeatureType.FLOAT:
            frame[field] = frame[field].fillna(frame[field].mean())


class _FillingPandas(ModuleType):
    """pandas for RecBole's data sets, which expect text in every cell of a sequence."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pd, name)

    @staticmethod
    def read_csv(*args: Any, **options: Any) -> pd.DataFrame:
        """Read a file; empty cells of sequences are empty texts."""
        frame: Any = pd.read_csv(*args, **options)
        sequences = [column for column in frame if str(column).endswith("_seq")]
        frame[sequences] = frame[sequences].fillna("")
        filled: pd.DataFrame = frame
        return filled


def needs_matrices() -> bool:
    """Tell whether SciPy lacks the method by which RecBole's graph models fill a matrix (#2034)."""
    return not hasattr(dok_matrix, "_update")


def repair_matrices() -> None:
    """Give SciPy's dictionary of keys the method that SciPy 1.13 removed (#2034).

    LightGCN, NGCF, GCMC, SpectralCF, NCL, KGIN and MCCLK call it.
    """
    dok_matrix._update = _update


def _update(matrix: dok_matrix, values: Mapping[tuple[int, int], float]) -> None:
    """Set the elements at pairs of row and column."""
    matrix._dict.update(values)
