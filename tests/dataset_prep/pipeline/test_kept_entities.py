"""Users and items without interactions: products that nobody has bought yet, customers who have bought nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar import cli
from recbole_sibrar.data.atomic import read_frame, read_header

Prepare = Callable[..., tuple[int, str]]


@pytest.fixture
def prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prepare:
    """Run the command on a shop; returns its exit status and output.

    Customers a to h bought the products 0 to 9, and x bought product 99 only; y and z, and the products 10 to 19, have
    no order.
    """
    pairs = [
        (user, item) for k, user in enumerate("abcdefgh") for item in range(10) if (k + item) % 3
    ]
    orders = pd.DataFrame([*pairs, ("x", 99)], columns=["customer", "product"])
    orders.to_csv(tmp_path / "orders.csv", index=False)
    products = pd.DataFrame({"product": [*range(20), 99]})
    products.assign(kind=[*"ab" * 10, "a"], price=products["product"] / 4).to_csv(
        tmp_path / "products.csv", index=False
    )
    pd.DataFrame({"customer": [*"abcdefghxyz"], "age": [None, *range(20, 30)]}).to_csv(
        tmp_path / "customers.csv", index=False
    )

    def run(*arguments: str, tables: bool = True) -> tuple[int, str]:
        paths = [
            f"--input_path={tmp_path}",
            f"--output_path={tmp_path / 'dataset'}",
            "--dataset=shop",
            "--overwrite",
        ]
        given = ["--users=customers.csv", "--items=products.csv"] if tables else []
        status = cli.main(
            ["prepare", "generic", *paths, "--interactions=orders.csv", *given, *arguments]
        )
        return status, capsys.readouterr().out

    return run


def ids(folder: Path, kind: str) -> list[str]:
    path = folder / "dataset" / "shop" / f"shop.{kind}"
    return list(read_frame(path, read_header(path))[f"{kind}_id"])


def test_all_are_kept_by_default(prepare: Prepare, tmp_path: Path) -> None:
    status, output = prepare()
    assert status == 0
    assert set(ids(tmp_path, "item")) == {str(item) for item in [*range(20), 99]}
    assert set(ids(tmp_path, "user")) == set("abcdefghxyz")
    assert "note: 10 items without any interaction are kept" in output
    assert "note: 2 users without any interaction are kept" in output
    report = json.loads((tmp_path / "dataset" / "shop" / "report.json").read_text())
    assert report["others"] == {"user": 2, "item": 10}
    assert (
        "Without any interaction: 2 users and 10 items."
        in (tmp_path / "dataset" / "shop" / "report.md").read_text()
    )


def test_interacted_ones_stand_first(prepare: Prepare, tmp_path: Path) -> None:
    prepare()
    assert set(ids(tmp_path, "item")[-10:]) == {str(item) for item in range(10, 20)}


def test_who_a_filter_left_out_is_not_new(prepare: Prepare, tmp_path: Path) -> None:
    status, output = prepare("--k_core=3")
    assert status == 0
    assert set(ids(tmp_path, "item")) == {str(item) for item in range(20)}
    assert set(ids(tmp_path, "user")) == set("abcdefghyz")
    assert (
        "note: products.csv: 1 of 21 rows were left out: no interaction of theirs is kept."
        in output
    )


def test_only_interacted_ones_on_request(prepare: Prepare, tmp_path: Path) -> None:
    status, output = prepare("--keep_items=interacted", "--keep_users=interacted")
    assert status == 0
    assert set(ids(tmp_path, "item")) == {str(item) for item in [*range(10), 99]}
    assert set(ids(tmp_path, "user")) == set("abcdefghx")
    assert "note: products.csv: 10 of 21 rows were left out" in output


def test_incomplete_ones_are_left_out(prepare: Prepare, tmp_path: Path) -> None:
    assert prepare("--drop_incomplete")[0] == 0
    assert set(ids(tmp_path, "user")) == set("bcdefghxyz")
    assert len(ids(tmp_path, "item")) == 21


def test_vectors_list_items_without_a_table(prepare: Prepare, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "v.npz", ids=np.arange(15), vectors=np.random.default_rng(0).normal(size=(15, 3))
    )
    vectors = f"--item_feature=image={tmp_path / 'v.npz'}"
    assert prepare(vectors, tables=False)[0] == 0
    assert set(ids(tmp_path, "item")) == {str(item) for item in [*range(15), 99]}
    assert prepare(vectors)[0] == 0
    assert len(ids(tmp_path, "item")) == 21


def test_ids_alone_are_written(prepare: Prepare, tmp_path: Path) -> None:
    status, output = prepare("--columns", "item:kind=skip", "item:price=skip")
    assert status == 0
    assert "warning: items: no column of products.csv is used." in output
    assert not (tmp_path / "dataset" / "shop" / "shop.item").exists()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_models_train_beside_them(
    prepare: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    model: str,
) -> None:
    assert prepare()[0] == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    caplog.set_level("INFO")
    assert cli.run_recbole([f"--model={model}", "--dataset=shop", "--epochs=1"]) == 0
    n_items = 21 if model == "SiBraR" else 11
    assert f"The number of items: {n_items + 1}" in caplog.text  # RecBole counts the padding
