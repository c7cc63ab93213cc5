"""Writing and reading of portable models; broken folders end in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from recbole_sibrar.errors import PortableModelError
from recbole_sibrar.serving import Recommender
from recbole_sibrar.serving.bundle import writing
from recbole_sibrar.serving.bundle.content import Histories
from recbole_sibrar.serving.bundle.reading import read
from recbole_sibrar.serving.bundle.writing import sha256, write
from recbole_sibrar.serving.example import example_content

FILES = (
    "manifest.json",
    "weights.safetensors",
    "embeddings.safetensors",
    "users.parquet",
    "items.parquet",
)


@pytest.fixture
def copy(portable: Path, tmp_path: Path) -> Path:
    """A portable model to break."""
    return Path(shutil.copytree(portable, tmp_path / "copy.sibrar"))


def manifest(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return values


def save_manifest(folder: Path, values: dict[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps(values), encoding="utf-8")


def refused(folder: Path) -> str:
    """The one line that says why a folder is refused."""
    with pytest.raises(PortableModelError) as caught:
        Recommender.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read(portable: Path, tmp_path: Path) -> None:
    content = read(portable)
    write(content, tmp_path / "again.sibrar")
    again = read(tmp_path / "again.sibrar")
    assert replace(again.manifest, files={}) == replace(content.manifest, files={})
    assert again.items.tokens.equals(content.items.tokens)
    assert torch.equal(again.users.embeddings, content.users.embeddings)
    assert (again.histories.items == content.histories.items).all()


def test_earlier_folders_are_read(copy: Path, portable: Path) -> None:
    values = manifest(copy)
    for side in ("users", "items"):
        del values[side]["config"]["matmul_precision"]
    save_manifest(copy, values)
    item = {"item_id": "new", "kind": "a", "price": 3.0}
    found = Recommender.load(copy).encode_items([item])
    assert found.equals(Recommender.load(portable).encode_items([item]))


SMAPS = Path("/proc/self/smaps")


@pytest.mark.skipif(not SMAPS.exists(), reason="Linux alone tells the memory of each mapping")
def test_embeddings_wait_on_the_disk(tmp_path: Path) -> None:
    n, size = 20_000, 256
    content = example_content()
    manifest = replace(content.manifest, embedding_size=size, has_modalities=False)
    users = replace(manifest.users, n=n, n_trained=n)
    side = replace(
        content.users,
        tokens=pa.array([f"u{number}" for number in range(n)]),
        popularity=np.zeros(n, dtype=np.int64),
        embeddings=torch.ones(n, size),
        parts={},
        available=None,
    )
    histories = Histories(np.zeros(0, dtype=np.int32), np.zeros(n + 1, dtype=np.int64))
    manifest = replace(manifest, users=users)
    items = replace(content.items, embeddings=torch.ones(5, size), parts={}, available=None)
    large = replace(content, manifest=manifest, users=side, items=items, histories=histories)
    write(large, tmp_path / "large.sibrar")

    held = read(tmp_path / "large.sibrar")

    # A mapping's first line has its file; the line "Rss:" after it counts what is in memory.
    mappings = SMAPS.read_text().split(str(tmp_path / "large.sibrar" / "embeddings.safetensors"))
    kilobytes = sum(int(part.split("Rss:")[1].split()[0]) for part in mappings[1:])
    assert len(mappings) > 1
    assert kilobytes * 1024 < n * size
    assert torch.equal(held.users.embeddings, torch.ones(n, size))


def test_the_manifest_says_what_is_inside(portable: Path) -> None:
    values = manifest(portable)
    assert values["format"] == 1
    assert values["model"] == "SiBraR"
    fields = {field["name"]: field for field in values["items"]["fields"]}
    assert {name: field["type"] for name, field in fields.items()} == {
        "kind": "token",
        "tags": "token_seq",
        "price": "float",
        "text": "float_seq",
    }
    weights = load_file(portable / "weights.safetensors")
    (mean,) = [
        tensor
        for name, tensor in weights.items()
        if name.startswith("item_") and name.endswith("scaling.mean")
    ]
    assert fields["price"]["mean"] == pytest.approx(mean.tolist())
    assert values["files"]["items.parquet"] == sha256(portable / "items.parquet")
    assert {"python", "torch", "recbole", "recbole-sibrar"} == set(values["versions"])


def test_half_precision(make_portable: Callable[..., Any], tmp_path: Path) -> None:
    content = read(make_portable(display=("kind", "tags", "price")).folder)
    write(replace(content, manifest=replace(content.manifest, dtype="float16")), tmp_path / "half")
    assert load_file(tmp_path / "half" / "embeddings.safetensors")["item"].dtype == torch.float16
    frame = Recommender.load(tmp_path / "half").recommend(["u1"], k=1)
    assert frame["score"].dtype == "float32"


def test_a_killed_writing_leaves_the_old_one(
    portable: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sha256(copy / "manifest.json")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_to_disk", fail)
    with pytest.raises(PortableModelError, match=r"cannot be written \(No space left"):
        write(read(portable), copy, overwrite=True)
    assert sha256(copy / "manifest.json") == before
    assert os.listdir(copy.parent) == [copy.name]


def test_only_portable_models_are_replaced(portable: Path, copy: Path, tmp_path: Path) -> None:
    content = read(portable)
    with pytest.raises(PortableModelError, match="--overwrite replaces it"):
        write(content, copy)
    write(content, copy, overwrite=True)

    (tmp_path / "photos").mkdir()
    with pytest.raises(PortableModelError, match="no portable model, which is not replaced"):
        write(content, tmp_path / "photos", overwrite=True)


@pytest.mark.parametrize("name", [*FILES, "vocabularies.parquet"])
def test_missing_files(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert name in refused(copy)


@pytest.mark.parametrize("name", FILES[1:])
def test_altered_files(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    assert f"{name}: the file is not the one that was written" in refused(copy)


@pytest.mark.parametrize("name", FILES[1:])
def test_cut_files_with_right_checksums(copy: Path, name: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:-50])
    values = manifest(copy)
    values["files"][name] = sha256(copy / name)
    save_manifest(copy, values)
    assert name in refused(copy)


def test_newer_formats(copy: Path) -> None:
    save_manifest(copy, {**manifest(copy), "format": 99})
    assert "found format 99, allowed are formats up to 1" in refused(copy)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"format": "1"}', '{"format": 1}', "[" * 100_000]
)
def test_damaged_manifests(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    assert "manifest.json" in refused(copy)


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "nothing")


def paths(values: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Places of all values in a JSON document, besides the checksums."""
    if place == ("files",):
        return [place]
    items = (
        values.items()
        if isinstance(values, dict)
        else enumerate(values)
        if isinstance(values, list)
        else ()
    )
    return [place, *(inner for key, value in items for inner in paths(value, (*place, key)))]


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_wrong_value_gives_one_line(copy: Path, portable: Path, data: st.DataObject) -> None:
    """A value of the manifest is replaced by another: the model loads, or is refused in one line."""
    values = manifest(portable)
    place = data.draw(st.sampled_from([place for place in paths(values) if place]))
    held = values
    for key in place[:-1]:
        held = held[key]
    odd = st.sampled_from(
        [None, -1, 0, 10**12, 1.5, "", "x", [], [[]], {}, {"a": 1}, True, [1], ["x"], 10**400]
    )
    held[place[-1]] = data.draw(odd)
    save_manifest(copy, values)
    message = ""
    try:
        Recommender.load(copy).recommend(["u1"], k=1)
    except PortableModelError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("item_stand_in"), "item_stand_in"),
        (lambda weights: weights.update(item_stand_in=torch.zeros(3)), "item_stand_in"),
        (
            lambda weights: weights.update({"item_encoder.branches.0.0.weight": torch.zeros(2, 2)}),
            "does not fit",
        ),
        (lambda weights: weights.update(item_stand_in=torch.full((64,), torch.nan)), "not finite"),
        (lambda weights: weights.update({"item_encoder.surplus": torch.zeros(2)}), "surplus"),
    ],
)
def test_wrong_weights(copy: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    weights = load_file(copy / "weights.safetensors")
    change(weights)
    save_file(
        {name: tensor.clone() for name, tensor in weights.items()}, copy / "weights.safetensors"
    )
    values = manifest(copy)
    values["files"]["weights.safetensors"] = sha256(copy / "weights.safetensors")
    save_manifest(copy, values)
    assert message in refused(copy)
