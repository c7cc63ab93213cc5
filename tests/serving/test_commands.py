"""Commands that export a model and use it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.cli import main
from recbole_sibrar.serving import Recommender

Build = Callable[..., Any]


def line(capsys: pytest.CaptureFixture[str]) -> str:
    """The last line on standard error."""
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.slow
def test_export(make_portable: Build, tmp_path: Path) -> None:
    exported = make_portable()
    folder = tmp_path / "out.sibrar"
    options = ["--display=kind,gender", "--modalities", f"--output={folder}"]
    assert main(["export", exported.checkpoint, *options]) == 0
    model = Recommender.load(folder)
    assert model.manifest.items.display == ("kind",)
    assert model.manifest.users.display == ("gender",)
    assert model.manifest.has_modalities
    assert {"ndcg@10", "recall@10"} <= set(model.manifest.metrics["test"])


@pytest.mark.slow
@pytest.mark.processes
def test_a_run_exports(shared_folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from recbole_sibrar.cli import run_recbole; sys.exit(run_recbole())",
    ]
    options = [
        "--model=SiBraR",
        "--dataset=tiny",
        f"--data_path={shared_folder}",
        "--epochs=1",
        "--tensorboard=none",
    ]
    export = ["--export=out.sibrar", "--load_col=None", "--show_progress=False"]
    done = subprocess.run(
        [*command, *options, *export], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    model = Recommender.load(tmp_path / "out.sibrar")
    assert set(model.manifest.metrics) == {"validation", "test"}
    assert len(model.explain("u1", "i1"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--display=kond"],
            "--display: found 'kond', allowed is fields of the .user and .item files",
        ),
        (["--dtype=int8"], "--dtype: found 'int8', allowed is float32 or float16"),
    ],
)
def test_wrong_exports(
    make_portable: Build,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert (
        main(["export", make_portable().checkpoint, f"--output={tmp_path / 'x.sibrar'}", *options])
        == 2
    )
    assert message in line(capsys)
    assert not (tmp_path / "x.sibrar").exists()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_recommend_all(portable: Path, model: Recommender, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"recs.{suffix}"
    assert main(["recommend", str(portable), "--k=3", f"--output={output}"]) == 0
    found = (
        pd.read_json(output, lines=True)
        if suffix == "jsonl"
        else getattr(pd, f"read_{suffix}")(output)
    )
    expected = model.recommend(k=3)
    assert found["user"].tolist() == expected["user"].tolist()
    assert found["item"].tolist() == expected["item"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-6)


def test_recommend_new_items_to_new_users(portable: Path, tmp_path: Path) -> None:
    items = tmp_path / "new.item"
    items.write_text(
        "item_id:token\tkind:token\ttext:float_seq\nn1\tc1\t1 2 3 4 5\nn2\t\t\n", encoding="utf-8"
    )
    users = tmp_path / "users.jsonl"
    rows = [{"user_id": "visitor", "interactions": ["i1", "i2"], "age": 30}, {"user_id": "u1"}]
    users.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    output = tmp_path / "recs.csv"
    arguments = [f"--users={users}", f"--items={items}", "--k=99", f"--output={output}"]
    assert main(["recommend", str(portable), *arguments]) == 0

    found = pd.read_csv(output).groupby("user")["item"].apply(set)
    assert {"n1", "n2"} <= found["visitor"]
    assert not {"i1", "i2"} & found["visitor"]
    assert len(found["visitor"]) == 40


def test_recommend_to_some_users(
    portable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users = tmp_path / "users.csv"
    users.write_text("user_id\nu3\nu2\n", encoding="utf-8")
    output = tmp_path / "recs.parquet"
    assert (
        main(["recommend", str(portable), f"--users={users}", "--k=1", f"--output={output}"]) == 0
    )
    assert pd.read_parquet(output)["user"].tolist() == ["u3", "u2"]

    users.write_text("user_id\nU3\n", encoding="utf-8")
    assert (
        main(["recommend", str(portable), f"--users={users}", f"--output={tmp_path / 'no.csv'}"])
        == 2
    )
    assert "user 'U3' is unknown; did you mean 'u3'?" in line(capsys)
    assert not (tmp_path / "no.csv").exists()


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "npy"])
def test_encode(make_portable: Build, tmp_path: Path, suffix: str) -> None:
    exported = make_portable()
    items = exported.data_path / "tiny" / "tiny.item"
    output = tmp_path / f"vectors.{suffix}"
    assert main(["encode", str(exported.folder), f"--items={items}", f"--output={output}"]) == 0
    if suffix == "npy":
        tokens = output.with_suffix(".ids.txt").read_text().split()
        vectors = np.load(output)
    else:
        frame = pd.read_parquet(output) if suffix == "parquet" else pd.read_json(output, lines=True)
        tokens = frame["item"].tolist()
        vectors = np.stack(frame["embedding"].to_list())
    np.testing.assert_allclose(vectors, exported.embeddings("item").loc[tokens], atol=1e-6)


def test_similar_and_audience(
    portable: Path, model: Recommender, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["similar", str(portable), "i4", "--k=2"]) == 0
    shown = capsys.readouterr().out
    assert all(item in shown for item in model.similar_items("i4", k=2)["similar"])

    assert main(["audience", str(portable), "i4", "--k=2"]) == 0
    shown = capsys.readouterr().out
    assert all(user in shown for user in model.audience("i4", k=2)["user"])


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        # known: kinds c0 to c2, tags t0 to t5
        ("n1\tc1\tt0 t9 t8\nn2\tC1\tt9\nn3\t\t\n", "missing: kind: 1, tags: 3"),
        ("n1\tc2\tt1  t2\nn2\t\tt9\n", "missing: tags: 1"),
        ("n1\tc0\tt5 t4\nn2\t\t\n", ""),
    ],
)
@pytest.mark.parametrize("command", ["audience", "similar", "recommend"])
def test_labels_of_new_items(
    portable: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    rows: str,
    note: str,
) -> None:
    items = tmp_path / "new.item"
    items.write_text(f"item_id:token\tkind:token\ttags:token_seq\n{rows}", encoding="utf-8")
    options = [f"--items={items}", "--k=2", f"--output={tmp_path / 'out.csv'}"]
    assert main([command, str(portable), *options]) == 0

    shown = capsys.readouterr()
    assert "unknown to" not in shown.out
    noted = [text for text in shown.err.splitlines() if "unknown to" in text]
    start = f"{items}: labels unknown to the model, which count as "
    assert noted == ([start + note] if note else [])


@pytest.mark.parametrize("command", ["similar", "audience"])
def test_unknown_items_before_any_answer(
    portable: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, str(portable), "i4", "i99"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "item 'i99' is unknown" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "--k=0", "--output=x.csv"], "--k: found '0', allowed is a positive integer"),
        (
            ["recommend", "--output=x.xls"],
            "allowed is a file with the suffix .parquet, .csv, .jsonl",
        ),
        (["recommend", "--users=none.csv", "--output=x.csv"], "none.csv: cannot be read"),
        (["encode", "--output=x.npy"], "--items, --users: give one of them"),
        (["similar"], "ITEM: found no item"),
        (["similar", "i99"], "item 'i99' is unknown"),
    ],
)
def test_wrong_options(
    portable: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *options = arguments
    assert main([command, str(portable), *options]) == 2
    assert message in line(capsys)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "item_id,prise\nx,1\n", "'prise' is no field of the model; did you mean 'price'"),
        ("a.item", "item_id:token\tprice:float\nx\tmany\n", r"field 'price' (float): found 'many'"),
        ("a.csv", "item_id,price\nx\n", "a.csv: cannot be read"),
        ("a.jsonl", '{"item_id": "x"\n', "a.jsonl, line 1: no JSON"),
        ("a.jsonl", "3\n", "a.jsonl, line 1: found int, allowed is an object"),
        ("a.parquet", "PAR1", "a.parquet: cannot be read"),
        ("a.txt", "", "allowed is .item, .user, .tsv, .csv, .parquet, .jsonl"),
        ("a.csv", "", "a.csv: cannot be read"),
        ("a.jsonl", '{"item_id": "x\\ny"}\n', "found the id 'x\\ny' with a line break"),
    ],
)
def test_wrong_files(
    portable: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str,
    message: str,
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    arguments = [f"--items={tmp_path / name}", f"--output={tmp_path / 'x.npy'}"]
    assert main(["encode", str(portable), *arguments]) == 2
    assert message in line(capsys)
    assert not (tmp_path / "x.npy").exists()
