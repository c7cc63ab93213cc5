"""One random defect in random tables: one line and nothing written; one harmless oddity: the files of clean tables."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_sibrar import cli

Rows = list[list[str]]


class Tables:
    """Orders and products of a shop, as rows of texts below a header."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        pairs = [(u, i) for u in range(6) for i in range(8) if rng.random() < 0.6] or [(0, 0)]
        ordered = {i for _, i in pairs}
        self.rng = rng
        self.orders: Rows = [["customer_id", "sku", "rating", "ordered_at"]]
        for user, item in pairs:
            day = f"2023-05-{rng.integers(1, 29):02d} 10:00:00"
            self.orders.append([f"C{user}", f"00{item}", str(rng.integers(1, 6)), day])
        self.products: Rows = [["sku", "kind", "price", "vector"]]
        for item in sorted({*ordered, 8, 9}):
            price = "" if rng.random() < 0.3 else f"{rng.integers(1, 900) / 4}"
            vector = " ".join(str(number) for number in rng.integers(0, 99, 3) / 8)
            self.products.append([f"00{item}", f"k{item % 3}", price, f"[{vector}]"])
        self.products[1][2] = "7.5"

    def row(self, rows: Rows) -> list[str]:
        """A random row below the header."""
        return rows[int(self.rng.integers(1, len(rows)))]

    def column(self, rows: Rows, position: int, change: Callable[[str], str]) -> None:
        """Change all cells of a column."""
        for row in rows[1:]:
            row[position] = change(row[position])


def text(
    rows: Rows, separator: str = ",", line_end: str = "\n", quoting: int = csv.QUOTE_MINIMAL
) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows(
        rows
    )
    return buffer.getvalue().encode()


def cell(table: str, position: int, value: str) -> Callable[[Tables], None]:
    """Put a value into a random row."""

    def change(tables: Tables) -> None:
        tables.row(getattr(tables, table))[position] = value

    return change


def ids(change: Callable[[str], str]) -> Callable[[Tables], None]:
    """Change all ids of the products."""
    return lambda tables: tables.column(tables.products, 0, change)


DEFECTS: dict[str, Callable[[Tables], None]] = {
    "a cell more in orders": lambda tables: tables.row(tables.orders).append(""),
    "a cell more in products": lambda tables: tables.row(tables.products).append("x"),
    "a cell less in orders": lambda tables: tables.row(tables.orders).pop(),  # type: ignore[func-returns-value]
    "a cell less in products": lambda tables: tables.row(tables.products).pop(),  # type: ignore[func-returns-value]
    "text for a rating": cell("orders", 2, "good"),
    "an infinite rating": cell("orders", 2, "inf"),
    "text for a date": cell("orders", 3, "yesterday"),
    "no customer": cell("orders", 0, ""),
    "no product": cell("orders", 1, ""),
    "text for a price": cell("products", 2, "expensive"),
    "a vector too long": cell("products", 3, "[1 2 3 4]"),
    "text in a vector": cell("products", 3, "[1 2 x]"),
    "a product without an id": cell("products", 0, ""),
    "a product twice": lambda tables: tables.products.append(list(tables.row(tables.products))),
    "a column twice": lambda tables: tables.products[0].__setitem__(1, "price"),
    "no header of orders": lambda tables: tables.orders.pop(0),  # type: ignore[func-returns-value]
    "no header of products": lambda tables: tables.products.pop(0),  # type: ignore[func-returns-value]
    "no orders": lambda tables: tables.orders.__delitem__(slice(1, None)),
    "ids with a point": ids(lambda text: f"{int(text)}.0"),
    "ids without zeros": ids(lambda text: str(int(text))),
    "ids with spaces": ids(lambda text: f" {text}"),
    "ids with quotes": ids(lambda text: f'"{text}"'),
    "ids with a prefix": ids(lambda text: f"SKU-{text}"),
    "ids of others": ids(lambda text: f"x{int(text) ** 2 + 77}y"),
}


def prepare(folder: Path, capsys: pytest.CaptureFixture[str], *names: str) -> tuple[int, list[str]]:
    """Run the command; its status, and the lines that say what is wrong."""
    orders, products = names or ("orders.csv", "products.csv")
    arguments = [
        f"--input_path={folder}",
        f"--output_path={folder / 'out'}",
        "--dataset=shop",
        "--overwrite",
    ]
    tables = [f"--interactions={orders}", f"--items={products}"]
    types = ["--columns", "item:price=float", "item:vector=float_seq"]
    status = cli.main(["prepare", "generic", *arguments, *tables, *types])
    return status, capsys.readouterr().err.splitlines()


def written(folder: Path) -> list[bytes]:
    return [(folder / "out" / "shop" / f"shop.{kind}").read_bytes() for kind in ("inter", "item")]


@pytest.mark.slow
@pytest.mark.parametrize("defect", DEFECTS)
@settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**16))
def test_a_defect_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], defect: str, seed: int
) -> None:
    tables = Tables(seed)
    DEFECTS[defect](tables)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "orders.csv").write_bytes(text(tables.orders))
        (folder / "products.csv").write_bytes(text(tables.products))
        status, lines = prepare(folder, capsys)
        assert (status, len(lines)) == (cli.WRONG_INPUT, 1), lines
        assert lines[0].startswith("recbole-sibrar prepare: error: ")
        assert not list((folder / "out").iterdir())


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: gzip.compress(data * 50, mtime=0)[:-20],
    "not packed": lambda data: data,
}


@pytest.mark.parametrize("damage", BYTES)
def test_a_damaged_file_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    tables = Tables(3)
    (tmp_path / "orders.csv.gz").write_bytes(BYTES[damage](text(tables.orders)))
    (tmp_path / "products.csv").write_bytes(text(tables.products))
    status, lines = prepare(tmp_path, capsys, "orders.csv.gz", "products.csv")
    assert (status, len(lines)) == (cli.WRONG_INPUT, 1)
    assert "orders.csv.gz" in lines[0]


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**16), place=st.integers(0, 10**6))
def test_an_open_quotation_mark_is_found(
    capsys: pytest.CaptureFixture[str], seed: int, place: int
) -> None:
    tables = Tables(seed)
    lines = text(tables.orders).splitlines(keepends=True)
    number = 1 + place % (len(lines) - 1)
    lines[number] = b'"' + lines[number]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "orders.csv").write_bytes(b"".join(lines))
        (folder / "products.csv").write_bytes(text(tables.products))
        status, errors = prepare(folder, capsys)
        assert (status, len(errors)) == (cli.WRONG_INPUT, 1)
        assert (
            f"line {number + 1}: found a quotation mark" in errors[0]
            or "columns, allowed are 4" in errors[0]
        )


ODDITIES: dict[str, Callable[[Tables], tuple[bytes, bytes]]] = {
    "byte order mark": lambda t: (
        b"\xef\xbb\xbf" + text(t.orders),
        b"\xef\xbb\xbf" + text(t.products),
    ),
    "line ends of Windows": lambda t: (
        text(t.orders, line_end="\r\n"),
        text(t.products, line_end="\r\n"),
    ),
    "empty lines at the end": lambda t: (text(t.orders) + b"\n\n", text(t.products) + b"\n"),
    "semicolons": lambda t: (text(t.orders, ";"), text(t.products, ";")),
    "tabs": lambda t: (text(t.orders, "\t"), text(t.products, "\t")),
    "quotes around all": lambda t: (
        text(t.orders, quoting=csv.QUOTE_ALL),
        text(t.products, quoting=csv.QUOTE_ALL),
    ),
    "words for missing prices": lambda t: (text(t.orders), text(with_words(t.products))),
    "other names": lambda t: (
        text([["Customer ID", "SKU", "Stars", "orderedAt"], *t.orders[1:]]),
        text([["Sku", *t.products[0][1:]], *t.products[1:]]),
    ),
    "other order of columns": lambda t: (
        text([[row[k] for k in (3, 1, 0, 2)] for row in t.orders]),
        text(t.products),
    ),
}


def with_words(rows: Rows) -> Rows:
    words = ["NULL", "NA", "nan", "None", "N/A", "n/a", "null", "-"]
    return [[cell or words[number % 8] for cell in row] for number, row in enumerate(rows)]


@pytest.mark.slow
@pytest.mark.parametrize("oddity", ODDITIES)
@settings(
    deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**16))
def test_an_oddity_changes_nothing(
    capsys: pytest.CaptureFixture[str], oddity: str, seed: int
) -> None:
    tables = Tables(seed)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "orders.csv").write_bytes(text(tables.orders))
        (folder / "products.csv").write_bytes(text(tables.products))
        assert prepare(folder, capsys)[0] == 0
        expected = written(folder)
        orders, products = ODDITIES[oddity](tables)
        (folder / "orders.csv").write_bytes(orders)
        (folder / "products.csv").write_bytes(products)
        assert prepare(folder, capsys)[0] == 0
        assert written(folder) == expected
