"""The table of keys agrees with the files of defaults, the guide, the help texts and the models."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import recbole
import yaml

from recbole_sibrar import MODELS, OWN_MODELS, cli, properties
from recbole_sibrar.config import KEYS, EncoderConfig, Key, own_keys
from recbole_sibrar.config.keys import OTHER_KEYS, keys_where
from recbole_sibrar.model.clcrec import CLCRec
from recbole_sibrar.model.dropoutnet import DropoutNet
from recbole_sibrar.names import SIDES

DEFAULTS = Path(properties.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
ALL_NAMES = set(keys_where(lambda key: True))


def of_file(file: Path) -> dict[str, Any]:
    """Keys of a file and their defaults."""
    keys: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return keys


def keys_of_recbole() -> set[str]:
    """Every key with a default in RecBole's own files."""
    folder = Path(recbole.__file__).parent / "properties"
    return set(of_file(folder / "overall.yaml")) | set(of_file(folder / "dataset" / "sample.yaml"))


def test_each_key_stands_once() -> None:
    names = keys_where(lambda key: True)
    assert len(names) == len(set(names))


def test_keys_of_every_model() -> None:
    in_table = set(keys_where(lambda key: key.file == "overall"))
    assert set(of_file(DEFAULTS / "overall.yaml")) == in_table


@pytest.mark.parametrize("model", OWN_MODELS)
def test_keys_of_a_model(model: str) -> None:
    listed = set(of_file(DEFAULTS / "model" / f"{model}.yaml"))
    read = {key.name for key in KEYS if key.file == "model" and model in key.models}
    shared = {key.name for key in KEYS if key.own_default}
    of_sides = {f"{side}_modalities" for side in SIDES}
    assert listed - of_sides - shared == read
    assert shared <= listed or model not in MODELS
    assert listed & of_sides <= ALL_NAMES


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.file == "recbole"], ids=lambda key: key.name
)
def test_a_key_of_recbole_is_one(key: Key) -> None:
    folder = Path(recbole.__file__).parent / "properties"
    has_default = key.name in keys_of_recbole()
    assert has_default or any(
        key.name in of_file(file) for file in folder.glob("model/*.yaml") if "url" not in file.stem
    )


def test_other_keys_have_no_file() -> None:
    assert OTHER_KEYS.isdisjoint(of_file(DEFAULTS / "overall.yaml"))
    assert not {"epochs", "item_modalities"} & OTHER_KEYS


@pytest.mark.parametrize("file", sorted(DEFAULTS.glob("**/*.yaml")), ids=lambda file: file.stem)
def test_every_default_is_commented(file: Path) -> None:
    """Ready-made configurations have a comment at the top, files of defaults one for each key."""
    lines = file.read_text(encoding="utf-8").splitlines()
    if file.parent.name == "quick_start_config":
        assert lines[0].startswith("#")
        return
    for line in lines:
        if re.match(r"\s*\w+:", line):
            assert re.search(r"# \((str|int|float|bool|list|dict)[^)]*\) [A-Z].*\.$", line), line


@pytest.mark.parametrize("model", OWN_MODELS)
def test_defaults_can_be_read(model: str) -> None:
    defaults = of_file(DEFAULTS / "overall.yaml") | of_file(DEFAULTS / "model" / f"{model}.yaml")
    checked = [key for key in KEYS if key.read is not None and key.name in defaults]
    assert len(checked) > (20 if model in MODELS else 15)
    for key in checked:
        assert key.read is not None
        key.read(key.name, defaults[key.name])


def test_fields_of_the_encoder() -> None:
    names = {key.name for key in KEYS if key.by_side}
    assert {field.name for field in fields(EncoderConfig)} == names | {"side", "embedding_size"}


@pytest.mark.parametrize("model", [DropoutNet, CLCRec])
def test_fixed_keys_are_those_not_read(model: type[Any]) -> None:
    not_read = {key.name for key in KEYS if key.by_side and model.__name__ not in key.models}
    assert set(model.fixed) == not_read


def rows_of_guide() -> list[tuple[str, list[str]]]:
    """Rows of the guide's tables of keys: page and cells."""
    found: list[tuple[str, list[str]]] = []
    for page in sorted(DOCS.glob("**/*.md")):
        in_table = False
        for line in page.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if re.fullmatch(r"keys?", cells[0]) and line.startswith("|"):
                in_table = True
            elif not line.startswith("|"):
                in_table = False
            elif in_table and not set(line) <= set("|- :"):
                found.append((page.name, cells))
    return found


def test_keys_of_the_guide() -> None:
    rows = rows_of_guide()
    assert len(rows) > 8
    for page, cells in rows:
        for name in re.findall(r"`(\w+)(?:: [^`]*)?`", cells[0]):
            assert name in ALL_NAMES, f"{page}: {name}"


def test_defaults_of_the_guide() -> None:
    """A column between the keys and their meaning holds the default."""
    defaults = of_file(DEFAULTS / "overall.yaml") | of_file(DEFAULTS / "model" / "SiBraR.yaml")
    rows = [(page, cells) for page, cells in rows_of_guide() if len(cells) == 3]
    assert rows
    for page, (name, default, _) in rows:
        assert yaml.safe_load(default.strip("`")) == defaults[name.strip("`")], f"{page}: {name}"


@pytest.mark.parametrize(
    "command", [cli.run_recbole, cli.run_recbole_group, cli.run_hyper], ids=lambda f: f.__name__
)
def test_keys_of_the_help(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command(["--help"])
    text = capsys.readouterr().out
    options = set(re.findall(r"^ +(?:-\w, )?--(\w+)", text, re.MULTILINE))
    for name in set(re.findall(r"--(\w+)", text)) - options - {"key"}:
        assert name in ALL_NAMES, name


def test_own_keys_carry_prefixes() -> None:
    own = own_keys()
    assert {"temperature", "user_temperature", "item_temperature", "loss_type"} <= set(own)
    assert "user_loss_type" not in own
