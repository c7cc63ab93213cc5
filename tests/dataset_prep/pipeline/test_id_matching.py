"""Ids of a table or a file of vectors that match those of the interactions in part or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar import cli
from recbole_sibrar.dataset_prep.readers.id_differences import recognise

Prepare = Callable[..., tuple[int, str, str]]

IDS = [f"{number:03d}" for number in range(1, 11)]


@pytest.fixture
def prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prepare:
    """Run the command on orders of the items 001 to 010; returns its exit status, output and errors."""
    pairs = [(f"u{k % 3}", item) for k, item in enumerate(IDS * 2)]
    pd.DataFrame(pairs, columns=["user", "item"]).to_csv(tmp_path / "e.csv", index=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        paths = [
            f"--input_path={tmp_path}",
            f"--output_path={tmp_path / 'out'}",
            "--dataset=d",
            "--overwrite",
        ]
        status = cli.main(["prepare", "generic", *paths, "--interactions=e.csv", *arguments])
        return status, *capsys.readouterr()

    return run


def table(path: Path, ids: Sequence[str], name: str = "item") -> None:
    frame = pd.DataFrame({name: ids, "kind": ["x", "y"] * (len(ids) // 2) + ["x"] * (len(ids) % 2)})
    frame.to_csv(path, index=False)


SPELLINGS: dict[str, tuple[Callable[[str], str], str]] = {
    "decimal point": (lambda text: f"{text}.0", "decimal point in one of the files"),
    "zeros": (lambda text: text.lstrip("0"), "has lost leading zeros"),
    "spaces": (lambda text: f"{text} ", "differ in spaces"),
    "invisible": (lambda text: f"\ufeff{text}", "differ in spaces or invisible characters"),
    "quotes": (lambda text: f"'{text}'", "has quotation marks around its ids"),
    "prefix": (lambda text: f"item_{text}", "has 'item_' in front of every id"),
    "two at once": (
        lambda text: f' "{int(text)}.0"',
        "differ in spaces, quotation marks, decimal points",
    ),
    "wide digits": (
        lambda text: text.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)}),
        "Unicode",
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_match_says_what_to_do(prepare: Prepare, tmp_path: Path, spelling: str) -> None:
    change, advice = SPELLINGS[spelling]
    table(tmp_path / "i.csv", [change(text) for text in IDS])
    status, _, errors = prepare("--items=i.csv")
    (line,) = errors.splitlines()
    assert status == cli.WRONG_INPUT
    for examples in (IDS[:2], [change(text) for text in IDS[:2]]):
        assert " and ".join(repr(text) for text in examples) in line
    assert advice in line
    assert not list((tmp_path / "out").iterdir())


def test_capital_letters_are_recognised() -> None:
    found = recognise(["B00A", "B00B"], ["b00b", "b00c"])
    assert found is not None
    assert (found.ours, found.theirs, found.count) == ("B00B", "b00b", 1)
    assert "capital letters" in found.advice


def test_a_spreadsheet_is_recognised() -> None:
    found = recognise(["4006381333931"], ["4.00638E+12", "4.00639E+12"])
    assert found is not None
    assert (found.count, "spreadsheet" in found.advice) == (0, True)
    assert recognise(["a"], ["b"]) is None


@pytest.mark.parametrize("share", [1, 5, 7])
def test_a_low_share_is_a_warning(prepare: Prepare, tmp_path: Path, share: int) -> None:
    table(tmp_path / "i.csv", [*IDS[:share], "x1", "x2"])
    status, output, _ = prepare("--items=i.csv")
    warnings = [line for line in output.splitlines() if line.startswith("warning: ")]
    assert status == 0
    assert warnings == [
        f"warning: i.csv has a line for {share} of the 10 items with interactions ({share * 10}.0%); without one are "
        f"{IDS[share]!r} and {IDS[share + 1]!r}; 'x1' and 'x2' of the file belong to no item with an interaction."
    ]
    assert (
        f"**{warnings[0].removeprefix('warning: ')}**"
        in (tmp_path / "out" / "d" / "report.md").read_text()
    )


def test_a_spelling_makes_a_note_a_warning(prepare: Prepare, tmp_path: Path) -> None:
    table(tmp_path / "i.csv", IDS[:9])
    assert (
        "note: i.csv has a line for 9 of the 10 items with interactions (90.0%)"
        in prepare("--items=i.csv")[1]
    )
    table(tmp_path / "i.csv", [*IDS[:9], "10"])
    output = prepare("--items=i.csv")[1]
    assert "warning: i.csv has a line for 9 of the 10 items" in output
    assert (
        "1 more would have one: '010' of the interactions is '10' here, one of the files has lost"
        in output
    )


def test_all_matches_are_worth_no_word(prepare: Prepare, tmp_path: Path) -> None:
    table(tmp_path / "i.csv", IDS)
    assert "has a line for" not in prepare("--items=i.csv")[1]


def test_a_wrong_side_or_column_is_told(prepare: Prepare, tmp_path: Path) -> None:
    table(tmp_path / "u.csv", ["u0", "u1", "u2"], "user")
    assert "they are ids of users: is this the file of the users?" in prepare("--items=u.csv")[2]
    frame = pd.DataFrame({"item_id": range(10), "code": IDS, "kind": ["x", "y"] * 5})
    frame.to_csv(tmp_path / "i.csv", index=False)
    line = prepare("--items=i.csv")[2]
    assert "those stand in its column 'code': name it with --items_id_column code" in line
    assert prepare("--items=i.csv", "--items_id_column=code")[0] == 0


def test_a_table_of_ids_alone_is_compared(prepare: Prepare, tmp_path: Path) -> None:
    pd.DataFrame({"user": ["x", "y"], "mail": ["a@b.de", "c@d.de"]}).to_csv(
        tmp_path / "u.csv", index=False
    )
    assert "u.csv: none of its ids, such as 'x' and 'y'" in prepare("--users=u.csv")[2]


@pytest.mark.parametrize("side", ["user", "item"])
def test_vectors_are_compared_like_tables(prepare: Prepare, tmp_path: Path, side: str) -> None:
    rng = np.random.default_rng(1)
    ids = [f"{int(text)}.0" for text in IDS] if side == "item" else ["U0", "U1", "U2"]
    np.savez(tmp_path / "v.npz", ids=ids, vectors=rng.normal(size=(len(ids), 2)))
    status, _, errors = prepare(f"--{side}_feature=text={tmp_path / 'v.npz'}")
    (line,) = errors.splitlines()
    assert status == cli.WRONG_INPUT
    assert f"v.npz: none of its ids, such as {ids[0]!r} and {ids[1]!r}" in line
    assert ("decimal points, zeros" if side == "item" else "small and capital letters") in line


def test_a_low_share_of_vectors_is_a_warning(prepare: Prepare, tmp_path: Path) -> None:
    table(tmp_path / "i.csv", [*IDS, "011"])
    np.savez(tmp_path / "v.npz", ids=[IDS[0], "011", "x"], vectors=np.ones((3, 2)))
    status, output, _ = prepare("--items=i.csv", f"--item_feature=text={tmp_path / 'v.npz'}")
    assert status == 0
    assert "warning: v.npz has a vector for 1 of the 10 items with interactions (10.0%)" in output
