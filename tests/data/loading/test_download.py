"""Data sets that RecBole downloads: here from a file, as no test needs a network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataset import Dataset

from recbole_sibrar import cli
from recbole_sibrar.data.atomic import DataError

MakeConfig = Callable[..., Config]


@pytest.fixture
def packed(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small data set as a zip file, which RecBole is told to download."""
    file = tmp_path / "tiny.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for part in (tiny_folder / "tiny").iterdir():
            archive.write(part, part.name)
            part.unlink()
    (tiny_folder / "tiny").rmdir()
    monkeypatch.setattr(Dataset, "_get_download_url", lambda *_: file.as_uri())
    return file


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_one_process_goes_on(packed: Path, make_config: MakeConfig, model: str) -> None:
    assert create_dataset(make_config(model)).inter_num > 0


def test_a_failure_leaves_no_folder(
    packed: Path, make_config: MakeConfig, tiny_folder: Path
) -> None:
    packed.write_text("no archive", encoding="utf-8")
    with pytest.raises(zipfile.BadZipFile):
        create_dataset(make_config())
    assert not (tiny_folder / "tiny").exists()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ml100k", "ml-100k"),
        ("ML-100K", "ml-100k"),
        ("tinny", "tiny"),
        ("ml_1m", "ml-1m"),
        ("qqqqqqq", None),
    ],
)
def test_an_unknown_name_has_the_nearest(
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
    tiny_folder: Path,
    name: str,
    meant: str | None,
) -> None:
    keys: dict[str, Any] = make_config().variable_config_dict
    with pytest.raises(
        DataError, match=f"^dataset: found '{name}', but there is no folder"
    ) as caught:
        create_dataset(Config("BPR", name, config_dict=dict(keys)))
    assert str(caught.value).endswith(f"did you mean '{meant}'?" if meant else "to download")

    arguments = [
        "--model=SiBraR",
        f"--dataset={name}",
        f"--data_path={tiny_folder}",
        "--state=ERROR",
    ]
    assert cli.run_recbole(arguments) == cli.WRONG_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"run_recbole: error: {caught.value}"
