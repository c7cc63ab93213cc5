"""Malformed requests end in a refusal of one line, whatever they hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_example import AUTHORIZED, TOKEN, write_example

from recbole_sibrar.errors import DataError, PortableModelError
from recbole_sibrar.serving.api.application import create_app
from recbole_sibrar.serving.api.settings import ServerSettings
from recbole_sibrar.serving.recommender import Recommender

pytestmark = pytest.mark.slow

QUIET = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["ann", "alien", "scifi", "year > 3", "AT", "new", "x\u0000", "\ud800"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just(10**400)
KEYS = st.sampled_from(
    [
        "users",
        "items",
        "user",
        "item",
        "history",
        "fields",
        "genre",
        "year",
        "item_id",
        "interactions",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | TEXTS, inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.dictionaries(
    st.sampled_from(["genre", "year", "item_id", "interactions", "x"]), VALUES, max_size=3
)
USERS = st.lists(
    st.sampled_from(["ann", "zoe"])
    | st.fixed_dictionaries({}, optional={"history": VALUES, "fields": VALUES}),
    max_size=3,
)
BODIES: dict[str, Any] = {
    "/recommend": st.fixed_dictionaries(
        {"users": USERS},
        optional={
            "filter": VALUES,
            "k": VALUES,
            "candidates": VALUES,
            "item_modalities": VALUES,
            "on_unknown": VALUES,
        },
    ),
    "/similar": st.fixed_dictionaries(
        {"items": st.lists(FIELDS, max_size=3)},
        optional={"modalities": VALUES, "k": VALUES, "filter": VALUES},
    ),
    "/audience": st.fixed_dictionaries({"items": st.lists(FIELDS, max_size=3)}),
    "/explain": st.fixed_dictionaries(
        {"pairs": st.lists(st.fixed_dictionaries({"user": VALUES, "item": FIELDS}), max_size=2)}
    ),
    "/items": st.fixed_dictionaries({"items": st.lists(FIELDS, max_size=3)}),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("malformed")
    write_example(home / "films.sibrar")
    (home / "token").write_text(TOKEN, encoding="utf-8")
    limits: dict[str, Any] = {"max_batch": 50, "max_k": 50, "hosts": ("testserver",)}
    chosen = ServerSettings.beside(home / "films.sibrar", token_file=home / "token", **limits)
    with TestClient(create_app(chosen)) as made:
        yield made


def check(client: TestClient, path: str, content: bytes, **headers: str) -> None:
    method = "PUT" if path == "/items" else "POST"
    sent = {"Content-Type": "application/json", **AUTHORIZED, **headers}
    answer = client.request(method, path, content=content, headers=sent)
    assert answer.status_code in (200, 400, 404, 413, 422), (content, answer.text)
    if answer.status_code != 200:
        detail = answer.json()["detail"]
        assert detail
        assert "\n" not in detail
        assert "Traceback" not in detail


@pytest.mark.parametrize("path", BODIES)
@QUIET
@given(data=st.data())
def test_likely_bodies(client: TestClient, path: str, data: st.DataObject) -> None:
    check(client, path, json.dumps(data.draw(BODIES[path])).encode())


@pytest.mark.parametrize("path", BODIES)
@QUIET
@given(value=VALUES)
def test_any_json(client: TestClient, path: str, value: object) -> None:
    check(client, path, json.dumps(value).encode())


@QUIET
@given(
    content=st.binary(max_size=60),
    kind=st.sampled_from(["application/json", "text/plain", "", "application/json; charset=x"]),
)
def test_any_bytes(client: TestClient, content: bytes, kind: str) -> None:
    check(client, "/recommend", content, **{"Content-Type": kind})


def test_deep_nesting(client: TestClient) -> None:
    for opening in (b"[", b'{"users":'):
        check(client, "/recommend", opening * 20_000)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        (
            "/recommend",
            "[" * 50_000,
            "body: no JSON: it is nested too deeply, or has a number too long",
        ),
        ("/recommend", '{"users": ["ann"], "k": ' + "9" * 9000 + "}", "a number too long"),
        ("/recommend", '{"users": ["ann"], "k": true}', "k: found True, allowed is an integer"),
        ("/recommend", '{"users": ["ann"], "k": "5"}', "k: found '5', allowed is an integer"),
        ("/recommend", '{"users": ["ann"], "k": 1e400}', "k: found inf"),
        ("/recommend", '{"users": ["ann"], "exclude_seen": "yes"}', "exclude_seen: found 'yes'"),
        ("/recommend", '{"users": [NaN]}', "users[0]: found nan, allowed are finite numbers"),
        ("/recommend", '{"users": ["\\ud800"]}', "users[0]: found half of a surrogate pair"),
        ("/recommend", '{"users": [{"history": [], "fields": {}}]}', "users[0]: found neither"),
        ("/recommend", '{"users": []}', "users: list should have at least 1 item"),
        (
            "/recommend",
            '{"users": ["' + "x" * 600 + '"]}',
            "users[0]: value should have at most 512",
        ),
        ("/recommend", '{"users": ["ann"], "filter": "yaer > 3"}', "did you mean 'year'"),
        (
            "/recommend",
            '{"users": ["ann"], "filter": "year >"}',
            "filter 'year >': it cannot be read",
        ),
        ("/recommend", '{"users": ["ann"], "kk": 3}', "kk: there is no such key; did you mean 'k'"),
        ("/similar", '{"items": [{"year": 1e999}]}', "items[0].year: found inf"),
        ("/similar", '{"items": [{"yaer": 1}]}', "did you mean 'year'"),
        ("/audience", '{"items": [{}]}', "items[0]: items: found none of"),
        ("/explain", '{"pairs": [{"user": {}, "item": "dune"}]}', "pairs[0].user: found neither"),
        ("/items", '{"items": [{"item_id": ""}]}', "items[0].item_id: found ''"),
    ],
)
def test_one_clear_message(client: TestClient, path: str, content: str, message: str) -> None:
    method = "PUT" if path == "/items" else "POST"
    sent = {"Content-Type": "application/json", **AUTHORIZED}
    answer = client.request(method, path, content=content, headers=sent)
    assert answer.status_code in (400, 422)
    assert message in answer.json()["detail"]


@QUIET
@given(start=st.text(max_size=20), limit=st.integers() | st.text(max_size=3))
def test_any_search(client: TestClient, start: str, limit: object) -> None:
    answer = client.get("/tokens/item", params={"start": start, "limit": str(limit)})
    assert answer.status_code in (200, 422)


def test_items_put_so_can_be_read(client: TestClient) -> None:
    """The store holds nothing that the model refuses, after all that the tests above have put."""
    assert client.get("/ready").json()["unreadable"] == 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "films.sibrar"
    write_example(folder)
    return folder


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_broken_folders(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("broken") / "films.sibrar"
    shutil.copytree(whole, folder)
    path = folder / data.draw(st.sampled_from(sorted(file.name for file in folder.iterdir())))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:at] + data.draw(st.binary(max_size=20)))
    verify = data.draw(st.booleans())
    message = _failure(folder, verify)
    assert "\n" not in message
    shutil.rmtree(folder)


def _failure(folder: Path, verify: bool) -> str:
    try:
        Recommender.load(folder, verify).recommend(["ann"])
    except (PortableModelError, DataError) as error:
        return str(error)
    return ""
