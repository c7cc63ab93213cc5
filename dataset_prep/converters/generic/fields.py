"""Fields of users or items of the converter ``generic``, with remarks on the columns."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side

from ...pipeline.preparation import RESERVED
from ...pipeline.raw import RawField, Values, names_of, others_left_out
from ...readers.entity_file import EntityFile
from ...readers.missing_words import MISSING_NUMBERS
from ...readers.raw_tables import Table
from .column_choices import SKIP, Choice, Group, resolve
from .column_groups import group_values, numbered_columns, proposal
from .column_names import alike, is_id_name, usual_id_columns
from .column_types import Verdict, column_type, is_list_type, typed_values
from .interactions import Interactions, missing_numbers
from .text_kinds import unnamed_list_separator


@dataclass
class TableFields:
    """Content of a table of users or items."""

    fields: list[RawField] = field(default_factory=list)
    """Its fields."""
    texts: list[RawField] = field(default_factory=list)
    """Columns that are only encoded."""
    inferred: list[str] = field(default_factory=list)
    """Sentences on inferred types."""
    notes: list[str] = field(default_factory=list)
    """Sentences on unused columns and cells."""
    warnings: list[str] = field(default_factory=list)
    """Sentences on probable mistakes."""
    files: list[EntityFile] = field(default_factory=list)
    """The table itself, to be compared with the interactions."""


@dataclass(frozen=True)
class _Source:
    """A table of one side, on the way to its fields."""

    side: str
    table: Table
    key: str
    ids: pd.Index
    file: EntityFile
    list_separator: str

    def field(self, name: str, kind: str, columns: Sequence[str]) -> RawField:
        """Make a field of one or several columns."""
        notes: list[str] = []
        return RawField(
            name, kind, self._reader(kind, columns, notes), self.file.name, notes, self.file
        )

    def _reader(
        self, kind: str, columns: Sequence[str], notes: list[str]
    ) -> Callable[[pd.Index], Values]:
        def read_values(wanted: pd.Index) -> Values:
            # The lines of the file count even where none of them is wanted.
            self.file.add(self.ids)
            self.file.close()
            n_others = int((~self.ids.isin(wanted)).sum())
            notes.extend(others_left_out(self.file.name, n_others, len(self.ids), "rows"))

            # [n], -1 for an entity without a row
            rows = self.ids.get_indexer(wanted)
            if len(columns) > 1:
                return group_values(self.table, columns, kind, rows, self.list_separator)
            return typed_values(self.table, columns[0], kind, rows, self.list_separator)

        return read_values


def read_fields(
    side: str,
    table: Table,
    interactions: Interactions,
    choices: Sequence[Choice],
    encoded: Sequence[str],
    options: argparse.Namespace,
) -> TableFields:
    """Find the fields of a table of users or items.

    Args:
        side: ``user`` or ``item``.
        table: The table.
        interactions: The interactions.
        choices: Values of ``--columns`` for this side.
        encoded: Columns of ``--encode``.
        options: See :func:`~.generic.add_options`.

    Raises:
        DataError: An option names an unknown column, or an id is missing or occurs twice.
    """
    found = TableFields()
    given = getattr(options, f"{side}s_id_column")
    key = _key(side, table, interactions.columns[side], given, found)

    # A table without a header loses its first row, whose id then stands as a name.
    if table.first_row > 1 and key in interactions.inter[f"{side}_id"].cat.categories:
        raise DataError(
            f"{table.path}, line 1: the column of ids is named {key!r}, which is an id of the "
            f"interactions: if the file begins with data, write --{side}s_no_header, or name its "
            f"columns with --{side}s_header"
        )
    ids = pd.Index(table.categories(key).astype(object))
    if ids.has_duplicates:
        table.refuse(int(ids.duplicated().argmax()), key, "each id once")

    names = [name for name in table.names if name != key]
    others = {name: _text_reader(table, name) for name in names}
    file = EntityFile(table.path.name, True, lambda: ids, others, f"--{side}s_id_column")
    found.files.append(file)
    source = _Source(side, table, key, ids, file, options.list_separator)
    groups = resolve(choices, names, str(table.path))
    table.check(encoded, "--encode")

    told = set(encoded)
    for group in groups:
        _choose(source, group, found)
        told.update(group.columns)
    for name in encoded:
        found.texts.append(source.field(field_name(side, name), _text_type(table, name), [name]))

    _infer(source, [name for name in names if name not in told], found)
    if not found.fields and not found.texts:
        found.warnings.append(f"{side}s: no column of {table.path.name} is used.")
    return found


def without_common_names(found: Mapping[Side, TableFields]) -> None:
    """Put the side in front of names common to fields of users and of items."""
    # RecBole knows a field by its name alone, whatever its side.
    users = names_of(found["user"].fields)
    items = names_of(found["item"].fields)
    common = set(users) & set(items)
    for side, fields in found.items():
        for position, one in enumerate(fields.fields):
            if one.name in common:
                fields.fields[position] = replace(one, name=f"{side}_{one.name}")
                fields.notes.append(
                    f"{side}s: the field {one.name} is called {side}_{one.name}: both sides have "
                    "one."
                )


def field_name(side: str, column: str) -> str:
    """Make the name of a field of the name of a column."""
    # A colon divides name and type in the header of an atomic file; a number as a name is a place.
    name = "_".join(column.replace(":", " ").split())
    if name in RESERVED or name.isdecimal():
        name = f"{side}_{name}"
    return f"{column}_of_{side}" if name in RESERVED else name


def _key(side: str, table: Table, key: str | None, given: str | None, found: TableFields) -> str:
    """Choose the column of the ids."""
    if given:
        table.check([given], f"--{side}s_id_column")
        return given

    same: list[str] = []
    # A number is the place of a column, which differs from table to table.
    if key is not None and not key.isdecimal():
        same = [key] if key in table.names else alike(table.names, key)
    usual = usual_id_columns(side, table.names)

    # pandas writes its index without a name: the first column with a name goes before it.
    named = [name for name in table.names if name] or [table.names[0]]
    chosen = [*same, *usual, *named][0]
    if not same:
        found.inferred.append(
            f"{side}s: the ids are those of column {chosen}; --{side}s_id_column names another."
        )
    return chosen


def _text_reader(table: Table, name: str) -> Callable[[], Iterable[str]]:
    def read_texts() -> Iterable[str]:
        try:
            texts: list[str] = table.texts(name).drop_null().to_pylist()
        except DataError:
            # Lists and structures hold no ids.
            return []
        return texts

    return read_texts


def _text_type(table: Table, name: str) -> str:
    return "token_seq" if is_list_type(table.data[name].type) else "token"


def _choose(source: _Source, group: Group, found: TableFields) -> None:
    """Make the fields of a value of ``--columns``."""
    # A skipped column is left out without a note: the user has asked for it.
    choice = group.choice
    if choice.type == SKIP:
        return

    if group.is_one_field:
        found.fields.append(source.field(choice.name, choice.type, group.columns))
        found.inferred.append(
            f"{source.side}s: the field {choice.name} is {choice.type} of {len(group.columns)} "
            "columns (as told)."
        )
        return

    for name in group.columns:
        found.fields.append(
            source.field(choice.name or field_name(source.side, name), choice.type, [name])
        )
        found.inferred.append(f"{source.side}s: column {name} is {choice.type} (as told).")
        if choice.type == "float":
            found.notes += missing_numbers(source.table, f"{source.side}s", name)


def _infer(source: _Source, names: Sequence[str], found: TableFields) -> None:
    """Make fields of the columns without an option, if their type can be inferred."""
    side = source.side
    table = source.table
    types: dict[str, str | None] = {}

    for name in names:
        if not name.strip():
            found.notes.append(f"{side}s: a column without a name is left out.")
            continue
        verdict = column_type(table, name, source.list_separator)
        types[name] = verdict.type
        if verdict.type is None:
            found.notes.append(_left_out(source, name, verdict))
            continue
        found.inferred.append(f"{side}s: column {name} is {verdict.type} ({verdict.reason}).")
        found.fields.append(source.field(field_name(side, name), verdict.type, [name]))
        if name in RESERVED:
            found.notes.append(
                f"{side}s: the field {name} is called {field_name(side, name)}: its name is taken."
            )
        _remark(source, name, verdict, found)

    # Only a proposal: a table can have many columns of numbers that are no vector.
    for columns in numbered_columns(types):
        found.warnings.append(
            f"{side}s: the {len(columns)} columns {columns[0]} ... {columns[-1]} are fields of "
            f"one number each; --columns '{proposal(side, table, source.key, columns)}' makes "
            "them one."
        )


def _left_out(source: _Source, name: str, verdict: Verdict) -> str:
    """Write the sentence on an unused column, with a use for it."""
    side = source.side
    file = source.table.path
    table = f"--input {file} --id_column '{source.key}'"
    hints = {
        "texts": (
            f"--encode '{side}:{name}=MODEL' makes vectors of texts, as recbole-sibrar "
            "encode-text does"
        ),
        "image paths": (
            f"recbole-sibrar encode-image {table} --path_column '{name}' --model resnet50 "
            f"--output {side}_images.npz makes vectors of them, for --{side}_feature "
            f"image={side}_images.npz"
        ),
        "image addresses": (
            "download the images into a folder, each named by its id; recbole-sibrar "
            f"encode-image makes vectors of them, for --{side}_feature"
        ),
        "amounts": "written as plain numbers, they are a number",
        "shortened lists": "NumPy has left out numbers when it printed them; write them in full",
    }
    hint = hints.get(verdict.look, "")
    if verdict.look in ("structures", "empty"):
        return f"{side}s: column {name} is left out ({verdict.reason})."

    told = f"--columns '{side}:{name}=TYPE' uses it all the same"
    return (
        f"{side}s: column {name} is left out ({verdict.reason}); {hint}{'; ' * bool(hint)}{told}."
    )


def _remark(source: _Source, name: str, verdict: Verdict, found: TableFields) -> None:
    """Remark on doubtful cells of a column."""
    side = source.side
    table = source.table
    if verdict.type == "float" and verdict.reason == "numbers":
        found.notes += missing_numbers(table, f"{side}s", name)
    if verdict.type != "token" or str(table.data[name].type) != "string":
        return

    if verdict.look == "mostly numbers" and not is_id_name(name):
        parsed = table.parse_numbers(name)
        example = table.data[name][int(np.argmax(parsed.is_text))].as_py()
        found.warnings.append(
            f"{side}s: most cells of column {name} are numbers, but not {example!r}, so that each "
            f"number is a category; --columns '{side}:{name}=token' if they are codes, --missing "
            f"'{example}' if such cells are missing."
        )

    texts = table.texts(name).drop_null()
    separator = unnamed_list_separator(texts)
    if separator:
        example = next(text for text in texts.to_pylist() if separator in text)
        found.warnings.append(
            f"{side}s: cells of column {name} such as {example!r} look like lists; "
            f"--list_separator '{separator}' takes them for lists."
        )

    # In a column of categories a word such as "unknown" may be one of them.
    words = [text for text in texts.unique().to_pylist() if text.strip().lower() in MISSING_NUMBERS]
    if words:
        found.notes.append(
            f"{side}s: column {name} has cells {', '.join(map(repr, words))}, which count as "
            f"values; --missing {','.join(words)} makes them missing."
        )
