"""Misspelt keys and defects in tables end in one line and an exit status, never in a traceback or wrong results."""

from __future__ import annotations

import logging
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from recbole_sibrar import cli
from recbole_sibrar.config.choices import keys_of_recbole, properties

TRIES = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SUFFIXES = ("inter", "item", "user")


@dataclass
class Outcome:
    """End of a command."""

    status: int
    """Its exit status."""
    errors: list[str]
    """Lines on standard error, without those of the log."""
    messages: list[str] = field(default_factory=list)
    """Log, without colours."""

    def one_line(self) -> str:
        """The only line of a failure."""
        assert self.status == cli.WRONG_INPUT, self
        (line,) = self.errors
        assert line.startswith("run_recbole: error: ")
        assert "Traceback" not in line
        return line

    def number(self, what: str) -> int:
        """A count of the data in the log."""
        (found,) = (
            re.search(rf"The number of {what}: (\d+)", m)
            for m in self.messages
            if f"number of {what}" in m
        )
        assert found is not None
        return int(found[1])

    def results(self) -> str:
        """The line with the results of the test."""
        return next(
            message for message in reversed(self.messages) if message.startswith("test result")
        )


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run ``run_recbole`` for an epoch of SiBraR on a new copy of ``toy``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(  # type: ignore[method-assign]
        re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage())
    )
    logging.getLogger().addHandler(handler)

    def start(*arguments: str, change: Callable[[Path], None] | None = None) -> Outcome:
        shutil.rmtree(tmp_path / "dataset", ignore_errors=True)
        shutil.copytree(toy, tmp_path / "dataset")
        if change:
            change(tmp_path / "dataset" / "toy")
        messages.clear()
        capsys.readouterr()
        fixed = [
            "--model=SiBraR",
            "--dataset=toy",
            "--epochs=1",
            "--show_progress=False",
            "--tensorboard=none",
        ]
        status = cli.run_recbole([*fixed, *arguments])
        lines = capsys.readouterr().err.splitlines()
        return Outcome(
            status, [line for line in lines if line.startswith("run_recbole")], list(messages)
        )

    logging.getLogger().setLevel(logging.INFO)
    yield start
    logging.getLogger().removeHandler(handler)


def defaults() -> dict[str, Any]:
    """Keys of SiBraR and their defaults."""
    keys: dict[str, Any] = {}
    for name in ("overall", "model/SiBraR"):
        keys |= yaml.safe_load((properties() / f"{name}.yaml").read_text(encoding="utf-8"))
    return keys


KEYS = defaults()


@st.composite
def misspelt(draw: st.DrawFn) -> tuple[str, str]:
    """A key with one mistake, and the key."""
    key = draw(
        st.sampled_from(
            sorted({*KEYS, "stopping_step", "eval_batch_size", "checkpoint_dir", "eval_args"})
        )
    )
    place = draw(st.integers(1, len(key) - 2))
    letter = draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))

    wrong = draw(
        st.sampled_from(
            [
                key[:place] + key[place + 1 :],
                key[:place] + key[place] + key[place:],
                key[:place] + key[place + 1] + key[place] + key[place + 2 :],
                key[:place] + letter + key[place + 1 :],
                key.replace("_", "-"),
                key.capitalize(),
            ]
        )
    )

    assume(wrong not in {*KEYS, *keys_of_recbole(), key})
    return wrong, key


@pytest.mark.slow
def test_a_misspelt_key(run: Run) -> None:
    right = run().results()

    @TRIES
    @given(misspelt())
    def check(found: tuple[str, str]) -> None:
        wrong, key = found
        value = KEYS.get(key, 10)
        outcome = run(f"--{wrong}={value}")
        if outcome.status:
            assert f"'{key}'" in outcome.one_line() or "did you mean" in outcome.one_line()
            assert wrong in outcome.one_line()
            return
        assert any(f"the key '{wrong}' has no effect" in message for message in outcome.messages)
        assert outcome.results() == right

    check()


@dataclass(frozen=True)
class Defect:
    """A change of one line of a file."""

    suffix: str
    """The file."""
    line: int
    """Number of the line, 0 for the header."""
    column: int
    """Number of the cell."""
    kind: str
    """Kind of the change."""

    def __call__(self, folder: Path) -> None:
        """Change the file."""
        path = folder / f"toy.{self.suffix}"
        lines = path.read_bytes().decode().splitlines()
        number = self.line % len(lines)
        cells = lines[number].split("\t")
        cell = self.column % len(cells)
        content = self._changed(lines, number, cells, cell)
        path.write_bytes(content)

    def _changed(self, lines: list[str], number: int, cells: list[str], cell: int) -> bytes:
        if self.kind == "empty file":
            return b""
        if self.kind == "header only":
            return f"{lines[0]}\n".encode()
        if self.kind == "byte-order mark":
            return ("\ufeff" + "\n".join(lines) + "\n").encode()
        if self.kind == "line ends of Windows":
            return ("\r\n".join(lines) + "\r\n").encode()
        if self.kind == "blank line":
            return "\n".join([*lines[: number + 1], "", *lines[number + 1 :], ""]).encode()
        if self.kind == "twice":
            return "\n".join([*lines, lines[max(number, 1)], ""]).encode()
        if self.kind == "latin-1":
            return "\n".join([*lines, ""]).replace(cells[cell] or "\n", "\xe9", 1).encode("latin-1")

        edits = {
            "cell less": lambda: [*cells[:cell], *cells[cell + 1 :]],
            "cell more": lambda: [*cells, ""],
            "two cells more": lambda: [*cells, "x", "y"],
            "text": lambda: [*cells[:cell], "abc", *cells[cell + 1 :]],
            "empty": lambda: [*cells[:cell], "", *cells[cell + 1 :]],
            "infinite": lambda: [*cells[:cell], "inf", *cells[cell + 1 :]],
            "huge": lambda: [*cells[:cell], "1e39", *cells[cell + 1 :]],
            "quotation mark": lambda: [*cells[:cell], f'"{cells[cell]}', *cells[cell + 1 :]],
            "null byte": lambda: [*cells[:cell], f"{cells[cell]}\0", *cells[cell + 1 :]],
        }

        lines[number] = " ".join(cells) if self.kind == "spaces" else "\t".join(edits[self.kind]())
        return "\n".join([*lines, ""]).encode()


KINDS = (
    *(
        "empty file",
        "header only",
        "byte-order mark",
        "line ends of Windows",
        "blank line",
        "twice",
        "latin-1",
    ),
    *(
        "cell less",
        "cell more",
        "two cells more",
        "text",
        "empty",
        "infinite",
        "huge",
        "quotation mark",
        "null byte",
    ),
    "spaces",
)

DEFECTS = st.builds(
    Defect, st.sampled_from(SUFFIXES), st.integers(0, 60), st.integers(0, 4), st.sampled_from(KINDS)
)


@pytest.mark.slow
def test_a_defect_in_a_table(run: Run) -> None:
    whole = run()
    size = {what: whole.number(what) for what in ("users", "items", "inters")}

    @settings(TRIES, max_examples=80)
    @given(DEFECTS)
    def check(defect: Defect) -> None:
        outcome = run(change=defect)
        if outcome.status:
            assert f"toy.{defect.suffix}" in outcome.one_line()
            return
        new = 1 if defect.kind in ("text", "infinite", "huge", "quotation mark", "null byte") else 0
        again = 1 if defect.kind == "twice" and defect.suffix == "inter" else 0
        for what, lost, more in (("users", 0, new), ("items", 0, new), ("inters", 1, again)):
            assert size[what] - lost <= outcome.number(what) <= size[what] + more, (what, defect)
        assert outcome.results().startswith("test result: OrderedDict")

    check()
