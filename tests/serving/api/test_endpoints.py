from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recbole_sibrar.serving.api.application import create_app
from recbole_sibrar.serving.api.guard import Guard
from recbole_sibrar.serving.api.metrics import Metrics
from recbole_sibrar.serving.api.settings import ServerSettings
from recbole_sibrar.serving.look_ups import LookUps
from recbole_sibrar.serving.recommender import Recommender


@pytest.fixture
def model(folder: Path) -> Recommender:
    return Recommender.load(folder)


def ask(client: TestClient, path: str, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(client: TestClient, path: str, status: int, **body: Any) -> str:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"]
    return answer.json()["detail"]


def test_known_users(client: TestClient, model: Recommender) -> None:
    lists = ask(client, "/recommend", users=["cem", "ann", "cem"], k=2)["recommendations"]
    expected = model.recommend(["cem", "ann"], 2)
    assert [one["user"] for one in lists] == ["cem", "ann", "cem"]
    for one in lists:
        frame = expected[expected["user"] == one["user"]]
        assert [item["item"] for item in one["items"]] == frame["item"].tolist()
        assert [item["score"] for item in one["items"]] == pytest.approx(frame["score"].tolist())
    years = {"alien": 1979, "brazil": 1985, "casablanca": 1942, "dune": 1984, "eraserhead": 1977}
    assert all(
        item["display"] == {"year": years[item["item"]]} for one in lists for item in one["items"]
    )


def test_new_users(client: TestClient, model: Recommender) -> None:
    visitor = {"history": ["alien"], "fields": {"country": "AT"}}
    unknown = {"id": "zoe", **visitor}
    lists = ask(client, "/recommend", users=[visitor, unknown], k=9, on_unknown="new")[
        "recommendations"
    ]
    expected = model.recommend_for(["alien"], {"country": "AT"}, 9)
    assert [(one["user"], one["source"]) for one in lists] == [("new", "new"), ("zoe", "new")]
    for one in lists:
        assert [item["item"] for item in one["items"]] == expected["item"].tolist()


def test_id_of_a_known_user_decides(client: TestClient) -> None:
    (one,) = ask(client, "/recommend", users=[{"id": "ann", "fields": {"country": "TR"}}], k=9)[
        "recommendations"
    ]
    assert one["source"] == "known"
    assert {item["item"] for item in one["items"]} == {"casablanca", "dune", "eraserhead"}


def test_unknown_users(client: TestClient) -> None:
    assert (
        refusal(client, "/recommend", 404, users=["anne"])
        == "user 'anne' is unknown; did you mean 'ann'?"
    )
    popular = ask(client, "/recommend", users=["zoe"], k=1, on_unknown="popular")["recommendations"]
    assert [
        (one["source"], one["items"][0]["item"], one["items"][0]["score"]) for one in popular
    ] == [("popular", "alien", 2)]
    assert "neither history nor fields" in refusal(
        client, "/recommend", 422, users=["zoe"], on_unknown="new"
    )


def test_filters_and_candidates(client: TestClient) -> None:
    chosen = ask(
        client, "/recommend", users=["bob"], filter="year < 1980", candidates=["alien", "dune"]
    )
    assert [item["item"] for item in chosen["recommendations"][0]["items"]] == ["alien"]
    chosen = ask(
        client, "/recommend", users=["zoe"], on_unknown="popular", filter="year > 1980", k=9
    )
    assert {item["item"] for item in chosen["recommendations"][0]["items"]} == {"brazil", "dune"}
    seen = ask(client, "/recommend", users=["ann"], exclude_seen=False, k=9)
    assert len(seen["recommendations"][0]["items"]) == 5


def test_similar_and_audience(client: TestClient, model: Recommender) -> None:
    new = {"genre": ["scifi"], "year": 1990}
    found = ask(client, "/similar", items=["dune", new], k=3)["similar"]
    assert [item["item"] for item in found[0]["similar"]] == model.similar_items("dune", 3)[
        "similar"
    ].tolist()
    assert [item["item"] for item in found[1]["similar"]] == model.similar_items(new, 3)[
        "similar"
    ].tolist()
    (one,) = ask(client, "/audience", items=[new])["audiences"]
    assert [user["user"] for user in one["users"]] == model.audience(new)["user"].tolist()


def test_explanations_sum_to_the_score(client: TestClient) -> None:
    for off in ({}, {"item_modalities": ["genre", "year"]}, {"user_modalities": ["interactions"]}):
        (one,) = ask(client, "/recommend", users=["ann"], k=9, **off)["recommendations"]
        pairs = [{"user": "ann", "item": item["item"]} for item in one["items"]]
        explained = ask(client, "/explain", pairs=pairs, **off)["explanations"]
        sums = [sum(part["part"] for part in pair["parts"]) for pair in explained]
        assert sums == pytest.approx([item["score"] for item in one["items"]], abs=1e-5)


def test_switched_off_modality_is_missing(client: TestClient, model: Recommender) -> None:
    (one,) = ask(
        client, "/recommend", users=["bob"], k=9, exclude_seen=False, item_modalities=["genre"]
    )["recommendations"]
    user = model.encode_users([{"user_id": "bob"}])["embedding"][0]
    genres = {
        "alien": ["scifi"],
        "brazil": ["scifi", "drama"],
        "casablanca": ["drama"],
        "eraserhead": ["drama"],
    }
    by_item = {item["item"]: item["score"] for item in one["items"]}
    for item, genre in genres.items():
        (vector,) = model.encode_items([{"genre": genre}])["embedding"]
        assert by_item[item] == pytest.approx(float(np.dot(user, vector)), abs=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/recommend", {"users": ["ann"], "k": 51}, "k: found 51"),
        ("/recommend", {"users": ["ann"], "k": 0}, "k: found 0"),
        ("/recommend", {"users": ["ann"] * 21}, "users: found 21"),
        ("/recommend", {"users": []}, "users: "),
        ("/recommend", {}, "users: "),
        (
            "/recommend",
            {"users": ["ann"], "exclude": True},
            "exclude: there is no such key; did you mean",
        ),
        (
            "/recommend",
            {"users": ["ann"], "item_modalities": ["image"]},
            "item_modalities: found 'image'",
        ),
        (
            "/recommend",
            {"users": [{"history": ["alien"], "fields": {"age": 3}}]},
            "'age' is no field",
        ),
        ("/recommend", {"users": ["ann"], "filter": "year >"}, "filter 'year >'"),
        ("/similar", {"items": [{"year": "soon"}]}, "field 'year'"),
        ("/similar", {"items": ["dune"], "modalities": ["image"]}, "modality 'image' is unknown"),
        ("/audience", {"items": [{"director": "x"}]}, "'director' is no field"),
    ],
)
def test_wrong_values_are_named(
    client: TestClient, path: str, body: dict[str, Any], named: str
) -> None:
    assert named in refusal(client, path, 422, **body)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 30])
def test_numbers_have_to_be_finite(client: TestClient, number: str) -> None:
    body = '{"items": [{"year": %s}]}' % number  # noqa: UP031  # braces
    answer = client.post("/similar", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("items[0].year: found ")


def test_body_is_limited(client: TestClient) -> None:
    def chunks() -> Any:
        yield from (b" " * 1000 for _ in range(30))

    for content in (b" " * 30_000, chunks()):
        answer = client.post(
            "/recommend", content=content, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()) == (
            413,
            {"detail": "body: found more than 20000 bytes"},
        )


def test_operation(client: TestClient) -> None:
    client.post("/recommend", json={"users": ["ann"]})
    client.post("/recommend", json={"users": ["anne"]})
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready", "items": 5, "unreadable": 0}
    lines = client.get("/metrics").text.splitlines()
    assert 'sibrar_requests_total{endpoint="/recommend",status="200"} 1.0' in lines
    assert 'sibrar_requests_total{endpoint="/recommend",status="404"} 1.0' in lines
    assert "sibrar_items 5.0" in lines
    assert not [line for line in lines if "ann" in line.split()[0]]


def test_nothing_tells_the_folder(client: TestClient, folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"")
    headers = {"Authorization": "Bearer a-token-for-the-tests"}
    answers = [client.get(path) for path in ("/model", "/ready", "/metrics", "/openapi.json")]
    answers.append(client.post("/reload", headers=headers))
    assert answers[-1].status_code == 409
    assert "weights.safetensors" in answers[-1].text
    assert not [answer for answer in answers if str(folder.parent) in answer.text]


def test_security_headers(client: TestClient) -> None:
    for path in ("/", "/health", "/nothing"):
        headers = client.get(path, headers={"Origin": "https://elsewhere.example"}).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert not [name for name in headers if name.startswith("access-control")]


def test_tokens_for_the_page(client: TestClient) -> None:
    found = client.get("/tokens/item", params={"start": "d"}).json()["found"]
    assert found == [{"token": "dune", "display": {"year": 1984}}]
    assert client.get("/tokens/film").status_code == 422


def test_failure_has_no_details(
    settings: ServerSettings, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret of ann")

    monkeypatch.setattr(LookUps, "recommend", fail)
    with TestClient(create_app(settings)) as client:
        assert "failed" in refusal(client, "/recommend", 500, users=["ann"])
    assert "RuntimeError at fail" in caplog.text
    assert "secret" not in caplog.text


def test_search_refuses_what_is_no_text(client: TestClient) -> None:
    answer = client.get("/tokens/user", params={"start": "a\0"})
    assert answer.status_code == 422
    assert "found half of a surrogate pair or a NUL" in answer.json()["detail"]


@pytest.mark.parametrize("value", [5, None, True, "alien", {"a": 1}, ["alien"]])
def test_clicks_stand_in_history_alone(client: TestClient, value: Any) -> None:
    user = {"fields": {"interactions": value, "country": "AT"}}
    found = refusal(client, "/recommend", 422, users=["ann", user])
    assert (
        found
        == "users[1].fields: found 'interactions', allowed are fields; clicks stand in history"
    )


@pytest.mark.parametrize("expression", ["'a' in year", "1979 in year"])
def test_numbers_have_no_parts(client: TestClient, expression: str) -> None:
    found = refusal(client, "/recommend", 422, users=["ann"], filter=expression)
    assert "the right of 'in' is a column of numbers" in found


def test_a_client_that_leaves_is_no_failure() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def unused(*arguments: object) -> None:
        raise AssertionError("nothing is answered")

    metrics = Metrics()
    asyncio.run(Guard(unused, 100, (), metrics)({"type": "http", "headers": []}, receive, unused))
    assert b'sibrar_requests_total{endpoint="other",status="499"} 1.0' in metrics.text()


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "10.0.0.7", "testserver"],
)
def test_own_names(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["films.example", "films.example:8000", "localhost.films.example", "[films", ""]
)
def test_names_of_other_pages(client: TestClient, host: str) -> None:
    """A page that points its own name to this address gets nothing (DNS rebinding)."""
    answer = client.post("/recommend", json={"users": ["ann"]}, headers={"Host": host})
    assert answer.status_code == 421
    assert "--allowed-hosts" in answer.json()["detail"]


def test_any_name(settings: ServerSettings) -> None:
    with TestClient(create_app(replace(settings, hosts=("*",)))) as client:
        assert client.get("/health", headers={"Host": "films.example"}).status_code == 200


@pytest.mark.parametrize(
    "off", [{}, {"item_modalities": ["genre"]}, {"user_modalities": ["interactions"]}]
)
def test_unknown_clicks_are_named(client: TestClient, off: dict[str, Any]) -> None:
    user = {"history": ["alien", "alein"], "fields": {"country": "AT"}}
    expected = "item 'alein' is unknown; did you mean 'alien'?"
    assert refusal(client, "/recommend", 404, users=[user], **off) == expected
    assert (
        refusal(client, "/explain", 404, pairs=[{"user": user, "item": "dune"}], **off) == expected
    )
