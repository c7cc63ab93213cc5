"""A small portable model, and its server in this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

sys.path.append(str(Path(__file__).parent))  # served_example, which tests import

from served_example import TOKEN, write_example

from recbole_sibrar.serving.api.application import create_app
from recbole_sibrar.serving.api.settings import ServerSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of a portable model."""
    path = tmp_path / "films.sibrar"
    write_example(path)
    return path


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> ServerSettings:
    """Settings with a token and small limits."""
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n", encoding="utf-8")
    return ServerSettings.beside(
        folder,
        token_file=token_file,
        max_body=20_000,
        max_batch=20,
        max_k=50,
        hosts=("testserver",),
    )


@pytest.fixture
def client(settings: ServerSettings) -> Iterator[TestClient]:
    """Client of a server in this process."""
    with TestClient(create_app(settings)) as made:
        yield made
