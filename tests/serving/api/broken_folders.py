"""Ways to break a portable model, each with what its refusal names."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

from recbole_sibrar.serving.bundle.writing import sha256

__all__ = ["BREAKERS", "Breaker"]

Breaker = Callable[[Path], object]
"""Function that breaks the portable model in a folder."""

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
EMBEDDINGS = "embeddings.safetensors"
USERS = "users.parquet"
ITEMS = "items.parquet"
VOCABULARIES = "vocabularies.parquet"


def read_manifest(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return values


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(values), encoding="utf-8")


def seal(folder: Path) -> None:
    """Write the right checksums, so that what is behind them is looked at."""
    values = read_manifest(folder)
    values["files"] = {name: sha256(folder / name) for name in values["files"]}
    write_manifest(folder, values)


def manifest(*path: str | int, value: Any) -> Breaker:
    """Set a value of the manifest."""

    def change(folder: Path) -> None:
        values = read_manifest(folder)
        held: Any = values
        for key in path[:-1]:
            held = held[key]
        held[path[-1]] = value
        write_manifest(folder, values)

    return change


def without(*path: str | int) -> Breaker:
    """Take a key out of the manifest."""

    def change(folder: Path) -> None:
        values = read_manifest(folder)
        held: Any = values
        for key in path[:-1]:
            held = held[key]
        del held[path[-1]]
        write_manifest(folder, values)

    return change


def content(name: str, change: Callable[[bytes], bytes], sealed: bool = True) -> Breaker:
    """Change the bytes of a file."""

    def write(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
        if sealed:
            seal(folder)

    return write


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Breaker:
    """Change the tensors of a file."""

    def write(folder: Path) -> None:
        held = load_file(folder / name)
        change(held)
        save_file({key: tensor.contiguous().clone() for key, tensor in held.items()}, folder / name)
        seal(folder)

    return write


def table(name: str, change: Callable[[pa.Table], pa.Table]) -> Breaker:
    """Change a table."""

    def write(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / name)), folder / name)
        seal(folder)

    return write


def column(name: str, column_name: str, values: pa.Array) -> Breaker:
    """Replace a column of a table."""

    def change(held: pa.Table) -> pa.Table:
        return held.set_column(held.column_names.index(column_name), column_name, values)

    return table(name, change)


def header(length: int) -> Callable[[bytes], bytes]:
    """Claim another length of a safetensors header."""
    return lambda data: struct.pack("<Q", length) + data[8:]


def header_entry(name: str, **values: Any) -> Callable[[bytes], bytes]:
    """Change the description of a tensor in a safetensors header."""

    def change(data: bytes) -> bytes:
        (length,) = struct.unpack("<Q", data[:8])
        entries = json.loads(data[8 : 8 + length])
        entries[name].update(values)
        made = json.dumps(entries).encode()
        return struct.pack("<Q", len(made)) + made + data[8 + length :]

    return change


def replaced(name: str, make: Callable[[Path, Path], object]) -> Breaker:
    """Put something else in the place of a file; its content stays beside the folder."""

    def change(folder: Path) -> None:
        outside = folder.with_name(f"outside-{name}")
        shutil.copy(folder / name, outside)
        (folder / name).unlink()
        make(folder / name, outside)

    return change


def duplicate(held: pa.Table) -> pa.Table:
    tokens = held.column("token").to_pylist()
    return held.set_column(0, "token", pa.array([tokens[0], *tokens[:-1]]))


def nan(tensor: torch.Tensor) -> torch.Tensor:
    return torch.full_like(tensor, torch.nan)


LISTS = pa.large_list(pa.int32())

BREAKERS: dict[str, tuple[Breaker, str]] = {
    # the folder
    "a file": (lambda f: (shutil.rmtree(f), f.write_text("no folder")), "no such folder"),
    "nothing": (shutil.rmtree, "no such folder"),
    "empty": (lambda f: (shutil.rmtree(f), f.mkdir()), "manifest.json: the file is missing"),
    **{
        f"no {name}": (lambda f, name=name: (f / name).unlink(), name)
        for name in (MANIFEST, WEIGHTS, EMBEDDINGS, USERS, ITEMS, VOCABULARIES)
    },
    # the manifest
    "manifest is empty": (content(MANIFEST, lambda _: b"", False), "damaged, it holds no JSON"),
    "manifest is cut": (content(MANIFEST, lambda b: b[:200], False), "damaged, it holds no JSON"),
    "manifest is no text": (content(MANIFEST, lambda _: b"\xff\xfe{}", False), "holds no JSON"),
    "manifest is a list": (content(MANIFEST, lambda _: b"[1]", False), "found a list"),
    "manifest is deep": (content(MANIFEST, lambda _: b"[" * 99_999, False), "holds no JSON"),
    "manifest is a folder": (replaced(MANIFEST, lambda path, _: path.mkdir()), MANIFEST),
    "manifest with NaN": (manifest("users", "n", value=float("nan")), "users.n: found nan"),
    "newer format": (manifest("format", value=2), "found format 2, allowed are formats up to 1"),
    "format is a text": (manifest("format", value="1"), "format: found '1'"),
    "format is true": (manifest("format", value=True), "format: found True"),
    "format is missing": (without("format"), "format: found None"),
    "model is missing": (without("model"), "model is missing"),
    "model is a number": (manifest("model", value=3), "model: found 3, allowed is a text"),
    "unknown encoder": (manifest("items", "encoder", value="x"), "items.encoder: found 'x'"),
    "unknown dtype": (manifest("dtype", value="int8"), "dtype: found 'int8'"),
    "other dtype": (manifest("dtype", value="float16"), "torch.float32"),
    "unknown type of a field": (manifest("items", "fields", 0, "type", value="x"), "type 'x'"),
    "huge field": (manifest("items", "fields", 0, "size", value=10**15), "size: found 1000"),
    "negative field": (
        manifest("items", "fields", 0, "size", value=-1),
        "'genre': found numbers beyond",
    ),
    "huge integer": (manifest("items", "n", value=10**400), "items.n: found 1000"),
    "wrong number of items": (manifest("items", "n", value=6), "contradict each other"),
    "more trained than known": (manifest("users", "n_trained", value=9), "contradict each other"),
    "wrong embedding size": (manifest("embedding_size", value=9), "allowed is torch.float32"),
    "zero embedding size": (manifest("embedding_size", value=0), "allowed is torch.float32"),
    "modality twice": (manifest("items", "modalities", value=["year", "year"]), "item_available"),
    "unknown modality": (manifest("items", "modalities", value=["x"]), "'item.x' is missing"),
    "no modalities": (manifest("items", "modalities", value=[]), "item_available"),
    "unknown aggregation": (manifest("items", "config", "aggregation", value="x"), "aggregation"),
    "no configuration": (manifest("items", "config", value={}), "is missing"),
    "unknown index": (manifest("index", value="x"), "index"),
    "index without a file": (manifest("index", value="ivf"), "index.faiss"),
    "unknown display column": (manifest("items", "display", value=["x"]), "display.x"),
    "no checksum": (without("files", ITEMS), "files: 'items.parquet' is missing"),
    "wrong checksum": (manifest("files", ITEMS, value="0" * 64), "not the one that was written"),
    "checksum is a list": (manifest("files", ITEMS, value=[]), "files.items.parquet: found []"),
    # the tensors
    "altered weights": (content(WEIGHTS, lambda b: b[:-1] + b"x", False), "not the one that was"),
    "cut weights": (content(WEIGHTS, lambda b: b[:-40]), WEIGHTS),
    "empty weights": (content(WEIGHTS, lambda _: b""), WEIGHTS),
    "weights are a pickle": (content(WEIGHTS, lambda _: b"\x80\x04}\x94."), WEIGHTS),
    "cut embeddings": (content(EMBEDDINGS, lambda b: b[:-40]), EMBEDDINGS),
    "huge header": (content(EMBEDDINGS, header(1 << 62)), EMBEDDINGS),
    "large header": (content(EMBEDDINGS, header(99_000_000)), EMBEDDINGS),
    "no header": (content(EMBEDDINGS, header(0)), EMBEDDINGS),
    "huge shape": (content(EMBEDDINGS, header_entry("item", shape=[1 << 60, 8])), EMBEDDINGS),
    "negative shape": (content(EMBEDDINGS, header_entry("item", shape=[-5, 8])), EMBEDDINGS),
    "other offsets": (
        content(EMBEDDINGS, header_entry("item", data_offsets=[0, 1 << 40])),
        EMBEDDINGS,
    ),
    "unknown type of numbers": (content(EMBEDDINGS, header_entry("item", dtype="X9")), EMBEDDINGS),
    "no embeddings": (tensors(EMBEDDINGS, lambda t: t.pop("item")), "tensor 'item' is missing"),
    "embeddings of another type": (
        tensors(EMBEDDINGS, lambda t: t.update(item=t["item"].double())),
        "found torch.float64",
    ),
    "embeddings are integers": (
        tensors(EMBEDDINGS, lambda t: t.update(item=t["item"].int())),
        "found torch.int32",
    ),
    "too few embeddings": (
        tensors(EMBEDDINGS, lambda t: t.update(item=t["item"][1:])),
        "tensor 'item': found torch.float32 [4",
    ),
    "flat embeddings": (
        tensors(EMBEDDINGS, lambda t: t.update(user=t["user"].flatten())),
        "tensor 'user': found",
    ),
    "NaN in embeddings": (
        tensors(EMBEDDINGS, lambda t: t.update(item=nan(t["item"]))),
        "tensor 'item': found numbers that are not finite",
    ),
    "infinity in embeddings": (tensors(EMBEDDINGS, lambda t: t["user"].fill_(torch.inf)), "finite"),
    "no modality's embeddings": (
        tensors(EMBEDDINGS, lambda t: t.pop("item.year")),
        "'item.year' is missing",
    ),
    "NaN in weights": (tensors(WEIGHTS, lambda t: t["item_stand_in"].fill_(torch.nan)), "finite"),
    "no stand-in": (tensors(WEIGHTS, lambda t: t.pop("user_stand_in")), "user_stand_in"),
    "unknown weights": (
        tensors(WEIGHTS, lambda t: t.update({"item_encoder.x": torch.zeros(2)})),
        "unknown: x",
    ),
    "no weights": (tensors(WEIGHTS, lambda t: t.clear()), WEIGHTS),
    # the tables
    "table is no table": (content(ITEMS, lambda _: b"PAR1"), ITEMS),
    "cut table": (content(USERS, lambda b: b[:-9]), USERS),
    "broken footer": (content(USERS, lambda b: b[:-8] + b"\xff\xff\xff\x7fPAR1"), USERS),
    "zeros in a table": (content(USERS, lambda b: b[:4] + bytes(60) + b[64:]), USERS),
    "no tokens": (table(ITEMS, lambda t: t.drop_columns(["token"])), "column 'token' is missing"),
    "no popularity": (table(ITEMS, lambda t: t.drop_columns(["popularity"])), "'popularity'"),
    "no histories": (table(USERS, lambda t: t.drop_columns(["history"])), "'history' is missing"),
    "no display column": (table(ITEMS, lambda t: t.drop_columns(["display.year"])), "display.year"),
    "column twice": (table(ITEMS, lambda t: t.append_column("token", t["token"])), "twice"),
    "too few items": (table(ITEMS, lambda t: t.slice(1)), "contradict each other"),
    "no items": (table(ITEMS, lambda t: t.slice(0, 0)), "contradict each other"),
    "token twice": (table(ITEMS, duplicate), "found the same token twice"),
    "tokens are numbers": (column(ITEMS, "token", pa.array([1, 2, 3, 4, 5])), "found int64"),
    "token is missing": (column(ITEMS, "token", pa.array(["a", "b", None, "d", "e"])), "1 missing"),
    "popularity is a text": (column(ITEMS, "popularity", pa.array(list("abcde"))), "found string"),
    "items beyond": (column(USERS, "history", pa.array([[0], [5], []], LISTS)), "beyond the 5"),
    "negative items": (column(USERS, "history", pa.array([[0], [-1], []], LISTS)), "beyond the 5"),
    "missing history": (column(USERS, "history", pa.array([[0], None, []], LISTS)), "1 missing"),
    "missing in a history": (
        column(USERS, "history", pa.array([[0], [None, 1], []], LISTS)),
        "1 missing",
    ),
    "histories of texts": (column(USERS, "history", pa.array([["0"], [], []])), "'history': found"),
    "no vocabulary": (table(VOCABULARIES, lambda t: t.drop_columns(["number"])), "'number'"),
    "numbers beyond a vocabulary": (
        column(VOCABULARIES, "number", pa.array(np.arange(4) + 10**9)),
        "found numbers beyond",
    ),
    # places outside the folder
    "link to a file outside": (replaced(EMBEDDINGS, lambda p, out: p.symlink_to(out)), "outside"),
    "link to a device": (replaced(WEIGHTS, lambda p, _: p.symlink_to("/dev/zero")), WEIGHTS),
    "link to itself": (replaced(ITEMS, lambda p, _: p.symlink_to(p)), ITEMS),
    "link to nothing": (replaced(USERS, lambda p, _: p.symlink_to("/nowhere")), USERS),
    "pipe": (replaced(WEIGHTS, lambda p, _: os.mkfifo(p)), WEIGHTS),
    "manifest is a pipe": (replaced(MANIFEST, lambda p, _: os.mkfifo(p)), MANIFEST),
    "manifest is a device": (replaced(MANIFEST, lambda p, _: p.symlink_to("/dev/zero")), MANIFEST),
    "manifest links outside": (replaced(MANIFEST, lambda p, out: p.symlink_to(out)), "outside"),
    "file is a folder": (replaced(ITEMS, lambda p, _: p.mkdir()), ITEMS),
}
"""Name -> function that breaks the example, and a part of the message."""
