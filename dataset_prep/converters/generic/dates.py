"""Columns of times: numbers of any unit, and dates in the usual forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ...readers.raw_tables import Table

UNITS = (
    (1e17, 1e9, "nanoseconds"),
    (1e14, 1e6, "microseconds"),
    (1e11, 1e3, "milliseconds"),
    (0, 1.0, "seconds"),
)
"""Least number, divisor and name of each unit.

From 1e11 on, a number taken as seconds would lie more than 3,000 years ahead: its unit is smaller.
"""

ISO = "ISO8601"
"""The form ``2018-12-31``, with or without a time and a zone, as pandas names it."""

_DAYS = (
    "%d.%m.%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")

FORMS = (ISO, *(f"{day}{time}" for day in _DAYS for time in _TIMES))
"""Forms of dates to try."""

# Cells that decide which forms are tried on the whole column.
_TRIED = 200


@dataclass(frozen=True)
class Dates:
    """A column of dates."""

    seconds: NDArray[Any]
    """float64 ``[n]``, seconds since 1970, NaN for a missing cell."""
    form: str
    """Their form, as pandas names it."""
    other_form: str = ""
    """Another form of all cells, with other dates; empty if there is none."""


def to_seconds(table: Table, name: str, form: str | None = None) -> tuple[NDArray[Any], str]:
    """Read a column of times as seconds since 1970.

    Args:
        table: The table.
        name: The column.
        form: Form of the dates, such as ``%d.%m.%Y``; None to find it out.

    Returns:
        float64 ``[n]``, NaN for an empty cell; and their unit or form in the file.

    Raises:
        DataError: A cell is neither a number nor a date, or the form of the dates is ambiguous.
    """
    column = table.data[name]
    if is_date_type(column.type):
        return _seconds(column.to_pandas()), "dates"
    if form is not None:
        seconds = _in_form(table, name, form)
        return seconds, f"dates of the form {form} (UTC where they name no zone)"

    parsed = table.parse_numbers(name)
    if not parsed.is_text.any():
        return _of_unit(table.numbers(name))
    dates = find_dates(table, name)
    if dates is None:
        wrong = parsed.is_text

        # In a column with ISO dates the first other text is shown, not the first date.
        iso = _parse(table.texts(name).to_pandas(), ISO)
        if iso.notna().any():
            wrong = iso.isna().to_numpy() & parsed.is_text
        row = int(np.flatnonzero(wrong)[0])
        table.refuse(
            row,
            name,
            "a number or a date such as 2018-12-31 23:59:59, all in one form; --timestamp_format "
            "names another, such as '%d.%m.%Y %H:%M'",
        )
    if dates.other_form:
        raise DataError(
            f"{table.path}, column {name}: the dates can be of the form {dates.form} or "
            f"{dates.other_form}; name it with --timestamp_format '{dates.form}'"
        )
    shown = "" if dates.form == ISO else f" of the form {dates.form}"
    return dates.seconds, f"dates{shown} (UTC where they name no zone)"


def find_dates(table: Table, name: str) -> Dates | None:
    """Parse the dates of a column of texts; None unless one of :data:`FORMS` fits all cells."""
    parsed = table.parse_numbers(name)
    texts = table.texts(name).to_pandas()

    # Words for missing numbers are no texts here: they count as missing dates.
    texts = texts.where(pd.Series(parsed.is_text), None)
    first = texts.dropna().iloc[:_TRIED]
    if first.empty or not np.isnan(parsed.values).all():
        return None

    is_present = texts.notna()
    fitting: dict[str, pd.Series] = {}
    for form in FORMS:
        # The first cells exclude most forms at once.
        if not _parse(first, form).notna().all():
            continue
        dates = _parse(texts, form)
        if dates.notna().equals(is_present):
            fitting[form] = dates

    if not fitting:
        return None

    # 01/02/2018 can be in January or in February.
    form, *others = fitting
    for other in others:
        if not fitting[other].equals(fitting[form]):
            return Dates(_seconds(fitting[form]), form, other)
    return Dates(_seconds(fitting[form]), form)


def looks_like_times(table: Table, name: str) -> bool:
    """Recognise columns with numbers or dates in most cells."""
    kind = table.data[name].type
    if is_date_type(kind):
        return True
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return False

    parsed = table.parse_numbers(name)
    if np.count_nonzero(~np.isnan(parsed.values)) > np.count_nonzero(parsed.is_text):
        return True
    texts = table.texts(name).to_pandas()[parsed.is_text].iloc[:_TRIED]
    return any(_parse(texts, form).notna().mean() > 0.5 for form in FORMS)


def is_date_type(kind: pa.DataType) -> bool:
    """Recognise columns of dates in Parquet, with or without a time."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _parse(texts: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(texts, errors="coerce", utc=True, format=form)


def _in_form(table: Table, name: str, form: str) -> NDArray[Any]:
    texts = table.texts(name).to_pandas()
    try:
        dates = _parse(texts, form)
    except ValueError as error:
        raise DataError(
            f"--timestamp_format: found '{form}', allowed is a form such as '%d.%m.%Y' ({error})"
        ) from None
    wrong = dates.isna().to_numpy() & texts.notna().to_numpy()
    if wrong.any():
        table.refuse(
            int(np.flatnonzero(wrong)[0]), name, f"a date of the form {form} (--timestamp_format)"
        )
    return _seconds(dates)


def _of_unit(numbers: NDArray[Any]) -> tuple[NDArray[Any], str]:
    largest = np.nanmax(numbers, initial=0)
    divisor, unit = next((divisor, unit) for least, divisor, unit in UNITS if largest >= least)
    return numbers / divisor, unit


def _seconds(dates: pd.Series) -> NDArray[Any]:
    # Times without a zone are taken for UTC: the report says so.
    utc = pd.to_datetime(dates, utc=True)
    return ((utc - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
