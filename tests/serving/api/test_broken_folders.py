"""Broken portable models end in one line, from Python and from every command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from broken_folders import BREAKERS
from served_example import TOKEN, write_example

from recbole_sibrar import cli
from recbole_sibrar.errors import PortableModelError
from recbole_sibrar.serving.recommender import Recommender

COMMANDS = {
    "recommend": ["--output=recs.csv"],
    "encode": ["--items=new.csv", "--output=vectors.npy"],
    "similar": ["alien"],
    "audience": ["alien"],
    "serve": ["--port=0", "--token-file=token"],
}
"""Command -> its options after the folder."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portable model, and the files that the commands read."""
    home = tmp_path_factory.mktemp("whole")
    write_example(home / "films.sibrar")
    (home / "new.csv").write_text("item_id,year\nnew,1990\n", encoding="utf-8")
    (home / "token").write_text(TOKEN, encoding="utf-8")
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with a copy of them."""
    copy = Path(shutil.copytree(whole, tmp_path / "home"))
    monkeypatch.chdir(copy)
    return copy


def test_there_are_enough() -> None:
    assert len(BREAKERS) >= 50


@pytest.mark.parametrize("name", BREAKERS)
def test_one_line_from_python(home: Path, name: str) -> None:
    break_folder, named = BREAKERS[name]
    break_folder(home / "films.sibrar")
    with pytest.raises(PortableModelError) as caught:
        Recommender.load("films.sibrar")
    message = str(caught.value)
    assert named in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.slow
@pytest.mark.parametrize("name", BREAKERS)
def test_one_line_from_commands(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    break_folder, named = BREAKERS[name]
    break_folder(home / "films.sibrar")
    before = sorted(home.iterdir())
    for command, options in COMMANDS.items():
        status = cli.main([command, "films.sibrar", *options])
        shown = capsys.readouterr()
        lines = [line for line in shown.err.splitlines() if line.strip()]
        assert (status, shown.out, len(lines)) == (cli.WRONG_INPUT, "", 1), command
        assert named in lines[0]
    written = {path.name.partition("-")[0] for path in set(home.iterdir()) - set(before)}
    assert written <= {"films.sibrar.items.sqlite"}


def test_commands_work_on_the_whole(home: Path) -> None:
    """The commands of the test above fail for the folder alone."""
    for command in ("recommend", "encode", "similar", "audience"):
        assert cli.main([command, "films.sibrar", *COMMANDS[command]]) == 0
