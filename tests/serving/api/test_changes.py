from __future__ import annotations

import gc
import re
import sqlite3
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from recbole_sibrar.errors import ConfigError, DataError, PortableModelError
from recbole_sibrar.serving.api.application import create_app
from recbole_sibrar.serving.api.served import Service
from recbole_sibrar.serving.api.settings import ServerSettings, read_token
from recbole_sibrar.serving.api.store import ItemStore
from recbole_sibrar.serving.bundle.writing import write
from recbole_sibrar.serving.example import example_content
from recbole_sibrar.serving.recommender import Recommender

AUTHORIZED = {"Authorization": "Bearer a-token-for-the-tests"}

SOLARIS = {"item_id": "solaris", "genre": ["scifi"], "year": 1972}


def put(client: TestClient, *items: dict[str, Any]) -> Any:
    answer = client.put("/items", json={"items": list(items)}, headers=AUTHORIZED)
    assert answer.status_code == 200, answer.text
    return answer.json()


def competing(client: TestClient) -> set[str]:
    answer = client.post("/recommend", json={"users": ["bob"], "k": 50, "exclude_seen": False})
    return {item["item"] for item in answer.json()["recommendations"][0]["items"]}


FILMS = {"alien", "brazil", "casablanca", "dune", "eraserhead"}


def test_items_compete_at_once(client: TestClient, folder: Path) -> None:
    assert put(client, SOLARIS) == {"added": 1, "replaced": 0, "removed": 0, "n_items": 6}
    assert put(client, SOLARIS, {"item_id": "alien", "year": 1980})["replaced"] == 2
    assert competing(client) == FILMS | {"solaris"}

    other = Recommender.load(folder)
    other.add_items([SOLARIS, {"item_id": "alien", "year": 1980}])
    expected = other.recommend(["bob"], 9, exclude_seen=False)
    answer = client.post(
        "/recommend", json={"users": ["bob"], "k": 9, "exclude_seen": False}
    ).json()
    items = answer["recommendations"][0]["items"]
    assert [item["item"] for item in items] == expected["item"].tolist()
    assert [item["score"] for item in items] == pytest.approx(expected["score"].tolist(), abs=1e-6)


def test_removed_items_come_back(client: TestClient) -> None:
    put(client, SOLARIS)
    answer = client.delete("/items", params={"item": ["solaris", "alien"]}, headers=AUTHORIZED)
    assert answer.json()["removed"] == 2
    assert competing(client) == FILMS - {"alien"}
    assert put(client, SOLARIS) == {"added": 1, "replaced": 0, "removed": 0, "n_items": 5}
    assert competing(client) == FILMS - {"alien"} | {"solaris"}


def test_removed_items_are_counted_once(client: TestClient) -> None:
    for removed in (1, 0):
        answer = client.delete("/items", params={"item": ["alien", "alien"]}, headers=AUTHORIZED)
        assert answer.json() == {"added": 0, "replaced": 0, "removed": removed, "n_items": 4}
    assert client.delete("/items", params={"item": "alein"}, headers=AUTHORIZED).status_code == 404


def test_removed_items_answer_nothing(client: TestClient) -> None:
    client.delete("/items", params={"item": "alien"}, headers=AUTHORIZED)
    asked = {"items": ["alien"]}
    for path, body in (
        ("/similar", asked),
        ("/similar", {**asked, "modalities": ["genre"]}),
        ("/audience", asked),
        ("/explain", {"pairs": [{"user": "bob", "item": "alien"}]}),
    ):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "item 'alien' is unknown: it has been removed",
        )
    assert client.get("/tokens/item", params={"start": "a"}).json()["found"] == []
    visitor = client.post("/recommend", json={"users": [{"history": ["alien"]}]})
    assert visitor.status_code == 200  # a click on it was a click


def test_changes_survive_a_restart(settings: ServerSettings) -> None:
    with TestClient(create_app(settings)) as client:
        put(client, SOLARIS)
        client.delete("/items", params={"item": "alien"}, headers=AUTHORIZED)
    with TestClient(create_app(replace(settings, token_file=None))) as client:
        assert competing(client) == FILMS - {"alien"} | {"solaris"}


def test_workers_see_each_other(settings: ServerSettings) -> None:
    with TestClient(create_app(settings)) as one, TestClient(create_app(settings)) as other:
        put(one, SOLARIS)
        assert "solaris" in competing(other)
        other.delete("/items", params={"item": "solaris"}, headers=AUTHORIZED)
        assert "solaris" not in competing(one)


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ([{"genre": ["scifi"]}], "items[0].item_id: found 'None'"),
        ([SOLARIS, {**SOLARIS, "year": 3}], "items[1].item_id: found 'solaris' twice"),
        ([{**SOLARIS, "director": "x"}], "'director' is no field"),
        ([SOLARIS, {"item_id": "x", "year": "soon"}], "row 2, field 'year'"),
        ([{"item_id": "a\u0000b"}], "items[0].item_id: found half"),
        ([{"item_id": ""}], "items[0].item_id"),
    ],
)
def test_wrong_items_change_nothing(
    client: TestClient, items: list[dict[str, Any]], named: str
) -> None:
    answer = client.put("/items", json={"items": items}, headers=AUTHORIZED)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]
    assert competing(client) == FILMS


@pytest.mark.parametrize(
    "token", [None, "Bearer wrong-token-of-tests", "Basic a-token-for-the-tests", "Bearer é"]
)
def test_writes_need_the_token(client: TestClient, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": token.encode("utf-8").decode("latin-1")}
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for answer in (
        client.put("/items", json={"items": [SOLARIS]}, headers=raw),
        client.delete("/items", params={"item": "alien"}, headers=raw),
        client.post("/reload", headers=raw),
    ):
        assert answer.status_code == 401
    assert competing(client) == FILMS


def test_server_without_token_only_reads(settings: ServerSettings) -> None:
    with TestClient(create_app(replace(settings, token_file=None))) as client:
        for token in ("", "None", "a-token-for-the-tests"):
            headers = {"Authorization": f"Bearer {token}"}
            assert (
                client.put("/items", json={"items": [SOLARIS]}, headers=headers).status_code == 403
            )
            assert client.post("/reload", headers=headers).status_code == 403
        assert competing(client) == FILMS
    assert not settings.store.exists()


def test_reload_keeps_the_items(client: TestClient, folder: Path) -> None:
    put(client, SOLARIS)
    content = example_content()
    write(replace(content, manifest=replace(content.manifest, model="MuBraR")), folder, True)
    answer = client.post("/reload", headers=AUTHORIZED).json()
    assert answer == {"model": "MuBraR", "n_users": 3, "n_items": 6, "unreadable": 0}
    assert client.get("/model").json()["model"] == "MuBraR"
    assert competing(client) == FILMS | {"solaris"}


def test_failed_reload_keeps_the_model(client: TestClient, folder: Path) -> None:
    (folder / "items.parquet").write_bytes(b"no table")
    answer = client.post("/reload", headers=AUTHORIZED)
    assert answer.status_code == 409
    assert "items.parquet" in answer.json()["detail"]
    assert competing(client) == FILMS
    assert 'sibrar_reloads_total{result="failed"} 1.0' in client.get("/metrics").text


def test_unreadable_items_are_counted(settings: ServerSettings) -> None:
    store = ItemStore(settings.store)
    store.put({"solaris": SOLARIS, "x": {"item_id": "x", "director": "of another model"}})
    store.close()
    with sqlite3.connect(settings.store) as connection:
        connection.execute("INSERT INTO items VALUES ('y', 'no JSON', 3)")
        connection.execute("UPDATE counters SET sequence = 3")
    connection.close()
    with TestClient(create_app(settings)) as client:
        assert client.get("/ready").json() == {"status": "ready", "items": 6, "unreadable": 2}
        assert competing(client) == FILMS | {"solaris"}


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + bytes(5000)])
def test_broken_store_is_one_line(settings: ServerSettings, content: bytes) -> None:
    settings.store.write_bytes(content)
    with pytest.raises(DataError, match="--store: cannot use"):
        ItemStore(settings.store)


def test_store_of_a_newer_version(settings: ServerSettings) -> None:
    ItemStore(settings.store).close()
    connection = sqlite3.connect(settings.store)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(DataError, match="has version 9"):
        ItemStore(settings.store)


@pytest.mark.parametrize("content", ["", "short", "two words of the token", "ümlaut-ümlaut-ümlaut"])
def test_tokens_have_to_be_long(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="--token-file: found") as error:
        read_token(path)
    assert not content or content not in str(error.value)


def test_search_lists_added_items_in_order(client: TestClient) -> None:
    put(client, {"item_id": "ali", "year": 1980})
    answer = client.get("/tokens/item", params={"start": "al", "limit": 1})
    assert [one["token"] for one in answer.json()["found"]] == ["ali"]


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("year", [1e308, 1e300])
def test_too_large_numbers_are_refused(client: TestClient, year: float) -> None:
    answer = client.put("/items", json={"items": [{**SOLARIS, "year": year}]}, headers=AUTHORIZED)
    assert answer.status_code == 422
    assert "row 1: found a number too large for the model" in answer.json()["detail"]
    assert competing(client) == FILMS


def test_replaced_first_interactions(client: TestClient) -> None:
    for user in ("ann", "bob"):
        put(client, {**SOLARIS, "interactions": [user]})
    answer = client.post("/recommend", json={"users": ["ann", "bob"], "k": 50}).json()[
        "recommendations"
    ]
    assert ["solaris" in {item["item"] for item in one["items"]} for one in answer] == [True, False]


def with_display(folder: Path, **columns: pa.Array) -> None:
    """Write the example with other display columns, which its encoder does not read."""
    content = example_content()
    manifest = replace(
        content.manifest, items=replace(content.manifest.items, display=tuple(columns))
    )
    items = replace(content.items, display=pa.table(columns))
    write(replace(content, manifest=manifest, items=items), folder, overwrite=True)


def test_display_columns_keep_their_type(client: TestClient, folder: Path) -> None:
    vectors = pa.array([[0.5, 1.0]] * 5, pa.list_(pa.float32()))
    with_display(
        folder, size=pa.array([1, 2, 3, 4, 5]), place=vectors, title=pa.array(list("abcde"))
    )
    assert client.post("/reload", headers=AUTHORIZED).status_code == 200

    put(client, {**SOLARIS, "size": "7", "place": "0.25 2", "title": ["So", "laris"]})
    answer = client.post(
        "/recommend", json={"users": ["ann"], "k": 9, "filter": "size == 7"}
    ).json()
    (found,) = answer["recommendations"][0]["items"]
    assert found["display"] == {"size": 7, "place": [0.25, 2.0], "title": "So laris"}

    wrong = client.put(
        "/items", json={"items": [{**SOLARIS, "item_id": "x", "size": "big"}]}, headers=AUTHORIZED
    )
    assert wrong.status_code == 422
    assert "field 'size': cannot be read as int64" in wrong.json()["detail"]
    assert competing(client) == FILMS | {"solaris"}
    assert client.get("/ready").json()["unreadable"] == 0


def test_reload_that_needs_a_missing_package(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*arguments: object) -> None:
        raise ConfigError("an index needs faiss, which is not installed")

    monkeypatch.setattr(Recommender, "load", load)
    answer = client.post("/reload", headers=AUTHORIZED)
    assert answer.status_code == 409
    assert answer.json()["detail"] == "not reloaded: an index needs faiss, which is not installed"
    client.app.state.service.try_reload()  # at a signal the log has the reason
    assert 'sibrar_reloads_total{result="failed"} 2.0' in client.get("/metrics").text
    assert competing(client) == FILMS


def test_reload_during_another_reload(client: TestClient, settings: ServerSettings) -> None:
    service = client.app.state.service
    ask = service.store.ask_for_reload
    service.store.ask_for_reload = lambda: (ask(), ask())[1]  # the first is the other worker's
    before = service.reload_everywhere()
    service.follow()
    assert service.current() is not before


def test_an_item_that_fails_ends_no_request(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Recommender.add_items

    def failing(model: Recommender, rows: Any) -> Any:
        if any(row["item_id"] == "bad" for row in rows):
            raise ZeroDivisionError
        return add(model, rows)

    monkeypatch.setattr(Recommender, "add_items", failing)
    put(client, SOLARIS, {**SOLARIS, "item_id": "bad"})
    assert competing(client) == FILMS | {"solaris"}
    assert client.get("/ready").json()["unreadable"] == 1


def test_start_without_checksums(settings: ServerSettings, folder: Path) -> None:
    """The first load may skip the checksums; a reload compares them."""
    manifest = folder / "manifest.json"
    (digest,) = set(re.findall(r'"items.parquet": "(\w+)"', manifest.read_text("utf-8")))
    manifest.write_text(manifest.read_text("utf-8").replace(digest, "0" * 64), encoding="utf-8")
    with pytest.raises(PortableModelError, match=r"items\.parquet: the file is not the one"):
        Service(settings)
    with TestClient(create_app(replace(settings, verify=False))) as client:
        assert competing(client) == FILMS
        assert client.post("/reload", headers=AUTHORIZED).status_code == 409


def test_the_earlier_model_is_freed(client: TestClient) -> None:
    """Without a search for garbage, which leaves out what was there at the start of a server."""
    service = client.app.state.service
    earlier = weakref.ref(service.current().recommender)
    competing(client)
    gc.disable()
    try:
        service.reload()
        assert earlier() is None
    finally:
        gc.enable()
