from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.converters.generic.dates import to_seconds
from recbole_sibrar.dataset_prep.readers.missing_words import MISSING_NUMBERS
from recbole_sibrar.dataset_prep.readers.raw_tables import Table

MOMENTS = [datetime(2021, 3, day, 14, 5, tzinfo=timezone.utc) for day in (1, 17, 30)]


def table(cells: list[str]) -> Table:
    return Table(
        Path("t.csv"), pa.table({"when": cells}), 2, "row", missing_numbers=MISSING_NUMBERS
    )


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:%M:%SZ",
        "%d.%m.%Y %H:%M",
        "%d/%m/%Y %H:%M",
        "%m/%d/%Y %I:%M %p",
        "%d-%b-%Y %H:%M",
        "%Y/%m/%d %H:%M",
    ],
)
def test_the_usual_forms_are_found_out(form: str) -> None:
    cells = [moment.strftime(form) for moment in MOMENTS]
    seconds, _ = to_seconds(table([*cells, "", "NULL"]), "when")
    np.testing.assert_array_equal(
        seconds, [*(moment.timestamp() for moment in MOMENTS), np.nan, np.nan]
    )


def test_days_and_months_are_not_guessed() -> None:
    cells = ["01/02/2021", "03/04/2021"]
    with pytest.raises(
        DataError, match=r"%d/%m/%Y or %m/%d/%Y; name it with --timestamp_format '%d/%m/%Y'"
    ):
        to_seconds(table(cells), "when")
    for form, days in (("%d/%m/%Y", [(2, 1), (4, 3)]), ("%m/%d/%Y", [(1, 2), (3, 4)])):
        expected = [
            datetime(2021, month, day, tzinfo=timezone.utc).timestamp() for month, day in days
        ]
        assert to_seconds(table(cells), "when", form)[0].tolist() == expected


def test_a_cell_of_another_form_is_named() -> None:
    with pytest.raises(
        DataError,
        match=r"row 3, column when: found '17\.3\.', allowed is a number or a date such as",
    ):
        to_seconds(table(["2021-03-01", "17.3.", "2021-03-30"]), "when")
    with pytest.raises(
        DataError, match=r"row 3, column when: found 'x', allowed is a date of the form %d"
    ):
        to_seconds(table(["1", "x"]), "when", "%d")
