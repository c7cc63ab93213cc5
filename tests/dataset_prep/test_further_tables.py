"""Further tables and vectors of items, such as those of OMDb and of trailers, beside MovieLens-1M."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recbole_sibrar.data.atomic import read_frame, read_header
from recbole_sibrar.dataset_prep import command
from recbole_sibrar.errors import DataError

MOVIES = {
    "1": {
        "director": "A. Bee",
        "language": "English, French",
        "year": "1995",
        "runtime": "81 min",
        "plot": "A doll.",
    },
    "2": {
        "director": "A. Bee",
        "language": "English",
        "year": "2007-2019",
        "runtime": "N/A",
        "plot": "N/A",
    },
    "3": {
        "director": "C. Dee",
        "language": "N/A",
        "year": "1990",
        "runtime": "100 min",
        "plot": "A dog.",
    },
    "9": {
        "director": "E. Eff",
        "language": "Danish",
        "year": "1991",
        "runtime": "9 min",
        "plot": "Nobody rated it.",
    },
}

Prepare = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six films with ratings; the table has three of them, the trailers two of them with a vector."""
    folder = tmp_path / "raw"
    folder.mkdir()
    ratings = [f"{user}::{film}::5::{user}" for user in range(1, 4) for film in range(1, 7)]
    (folder / "ratings.dat").write_text("\n".join(ratings) + "\n")
    (folder / "users.dat").write_text("".join(f"{user}::F::25::1::10000\n" for user in range(1, 4)))
    (folder / "movies.dat").write_text(
        "".join(f"{film}::Film (1990)::Drama\n" for film in range(1, 7))
    )
    (folder / "omdb.json").write_text(json.dumps(MOVIES))
    visual = np.array([[1, 2, 3], [np.nan] * 3, [4, 5, 6]], dtype=np.float32)
    np.savez(
        folder / "trailers.npz",
        movie_id=np.array([1, 2, 4]),
        visual=visual,
        audio=visual[:, :2] + 1,
    )
    return folder


@pytest.fixture
def prepare(source: Path, tmp_path: Path) -> Prepare:
    def run(*options: str) -> Path:
        paths = [f"--input_path={source}", f"--output_path={tmp_path / 'out'}", "--k_core=0"]
        command.main(["ml-1m", *paths, "--item_features=none", *options], print)
        return tmp_path / "out" / "ml-1m"

    def with_features(*options: str, features: str) -> Path:
        return run(*options, f"--item_features={features}")

    return with_features


def column(folder: Path, name: str) -> dict[str, object]:
    path = folder / "ml-1m.item"
    frame = read_frame(path, read_header(path))
    return {
        row: value
        for row, value in zip(frame["item_id"], frame[name], strict=True)
        if not is_missing(value)
    }


def is_missing(value: object) -> bool:
    if isinstance(value, float):
        return bool(np.isnan(value))
    return value is None or (hasattr(value, "__len__") and not len(value))


def test_columns_become_fields(
    prepare: Prepare, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [
        "director=token",
        "language=token_seq languages",
        "year=float released",
        "runtime=float",
    ]
    folder = prepare(
        "--item_table",
        str(source / "omdb.json"),
        *columns,
        features="director,languages,released,runtime",
    )
    assert column(folder, "director") == {"1": "A. Bee", "2": "A. Bee", "3": "C. Dee"}
    assert {name: list(labels) for name, labels in column(folder, "languages").items()} == {
        "1": ["English", "French"],
        "2": ["English"],
    }
    assert column(folder, "released") == {"1": 1995, "2": 2007, "3": 1990}
    assert column(folder, "runtime") == {"1": 81, "3": 100}

    output = capsys.readouterr().out
    assert (
        "note: omdb.json: 1 cells of year, such as '2007-2019', are read as their first number."
        in output
    )
    assert "warning: omdb.json has a line for 3 of the 6 items with interactions (50.0%)" in output
    assert (
        "omdb.json: labels of language are separated by ','." in (folder / "report.md").read_text()
    )


@pytest.mark.parametrize("kind", ["names", "token_seq"])
def test_remarks_of_names(
    prepare: Prepare, source: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    writers = [
        'A. Bee (play "One,  Two (II)"), C. Dee (screenplay), A. Bee (screenplay)',
        "A. Bee",
        "(list)",
    ]
    table = {str(row): {"writer": text} for row, text in enumerate(writers, start=1)}
    (source / "writers.json").write_text(json.dumps(table))
    folder = prepare(
        "--item_table", str(source / "writers.json"), f"writer={kind}", features="writer"
    )

    labels = {name: list(value) for name, value in column(folder, "writer").items()}
    output = capsys.readouterr().out
    if kind == "names":
        assert labels == {"1": ["A._Bee", "C._Dee"], "2": ["A._Bee"], "3": ["(list)"]}
        assert "1 cells of writer have remarks, such as" in output
        assert "are left out" in output
    else:
        assert labels["2"] == ["A._Bee"]
        assert "C._Dee_(screenplay)" in labels["1"]
        assert "writer=names leaves them out of the labels" in output


def test_missing_vectors_stay_missing(
    prepare: Prepare, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trailers = source / "trailers.npz"
    folder = prepare(
        f"--item_feature=audio={trailers}",
        f"--item_feature=visual={trailers}",
        features="audio,visual",
    )
    visual = column(folder, "visual")
    audio = column(folder, "audio")
    assert {name: list(value) for name, value in visual.items()} == {"1": [1, 2, 3], "4": [4, 5, 6]}
    assert {name: list(value) for name, value in audio.items()} == {"1": [2, 3], "4": [5, 6]}
    output = capsys.readouterr().out
    assert "item visual: float_seq of size 3, 66.67% missing" in output
    assert output.count("warning: trailers.npz has a vector for 3 of the 6 items") == 1  # for both


def test_models_never_read_what_is_missing(
    prepare: Prepare, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recbole.config import Config
    from recbole.data import create_dataset

    import recbole_sibrar  # noqa: F401

    folder = prepare(
        f"--item_feature=visual={source / 'trailers.npz'}",
        *["--item_table", str(source / "omdb.json"), "language=token_seq", "runtime=float"],
        features="visual,language,runtime",
    )
    monkeypatch.setattr("sys.argv", ["test"])
    config = Config("SiBraR", "ml-1m", config_dict={"data_path": str(folder.parent)})
    dataset = create_dataset(config).build()[0]
    tables = dataset.modality_tables("item")
    names = dataset.field2id_token[dataset.iid_field]
    available = {
        name: set(names[tables[name].available.numpy()])
        for name in ("visual", "language", "runtime")
    }
    assert available == {"visual": {"1", "4"}, "language": {"1", "2"}, "runtime": {"1", "3"}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["omdb.json"],
            r"--item_table: found '.*omdb.json' without columns, allowed is FILE COLUMN=TYPE",
        ),
        (["omdb.json", "plot"], r"--item_table: found 'plot', allowed is FILE COLUMN=TYPE"),
        (
            ["omdb.json", "plot=tokn"],
            r"--item_table: found 'plot=tokn', allowed types are token, .*nearest|did you mean",
        ),
        (
            ["omdb.json", "polt=token"],
            r"--item_table: found 'polt', allowed are the columns of .*omdb.json: director",
        ),
        (
            ["omdb.json", "director=id", "plot=id"],
            r"found the ids director and plot of .*, allowed is one column of",
        ),
        (
            ["omdb.json", "director=id"],
            r"omdb.json, object 2, column director: found 'A. Bee', allowed is each id once",
        ),
        (
            ["omdb.json", "plot=float"],
            r"omdb.json, object 1, column plot: found 'A doll.', allowed is a finite number",
        ),
        (["omdb.jsn", "plot=token"], r"--item_table: there is no file .*omdb.jsn"),
        (["omdb.json", "plot=token genres"], r"two fields of the items are named 'genres'"),
    ],
)
def test_wrong_tables_are_refused(
    prepare: Prepare, source: Path, values: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepare("--item_table", str(source / values[0]), *values[1:], features="all")


def test_texts_are_only_encoded(prepare: Prepare, source: Path) -> None:
    folder = prepare(
        "--item_table",
        str(source / "omdb.json"),
        "plot=text",
        "year=float released",
        features="all",
    )
    names = [field.name for field in read_header(folder / "ml-1m.item")]
    assert names == ["item_id", "title", "year", "genres", "released"]


def test_users_have_tables_too(prepare: Prepare, source: Path) -> None:
    (source / "more.csv").write_text("user_id,city\n1,Rome\n3,Oslo\n")
    folder = prepare("--user_table", str(source / "more.csv"), "city=token", features="genres")
    frame = read_frame(folder / "ml-1m.user", read_header(folder / "ml-1m.user"))
    assert list(frame["city"].where(frame["city"].notna(), "")) == ["Rome", "", "Oslo"]


def test_ids_stand_in_a_named_column(prepare: Prepare, source: Path) -> None:
    (source / "more.csv").write_text("imdb,ml,colour\nt1,1,red\nt2,2,blue\n")
    folder = prepare(
        "--item_table", str(source / "more.csv"), "ml=id", "colour=token", features="colour"
    )
    assert column(folder, "colour") == {"1": "red", "2": "blue"}
