"""Measures of how easily the code is read: ``python tests/measures.py [FOLDER ...]`` prints them as a table.

Without a folder it measures this project. Other projects are measured by the same rules.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
SOURCES = ("recbole_sibrar", "dataset_prep")

WH_OPENING = re.compile(r"(what|which|where|when|who|whom|whose|whether|how|why)\b", re.IGNORECASE)
"""First word of a docstring without a subject."""

RELATIVE = re.compile(r"\b(who|whom|whose|which|what|where|whether|how|why|that)\b", re.IGNORECASE)
"""Words that begin a clause inside a sentence; every "that" counts, as most of them are relative."""

TEST = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)

LONG_FUNCTION = 15
LONGEST_TEST_NAME = 40

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@dataclass(frozen=True)
class Source:
    """A parsed file."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """Lines of the file."""
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree))

    @property
    def functions(self) -> list[Function]:
        """Functions and methods, nested ones included."""
        return [node for node in self.nodes if isinstance(node, Function)]

    @property
    def public(self) -> list[Definition]:
        """Classes and functions of the module whose names do not start with an underscore."""
        return [
            node
            for node in self.tree.body
            if isinstance(node, Definition) and not node.name.startswith("_")
        ]

    @property
    def docstrings(self) -> list[tuple[int, str]]:
        """Line and text of the docstrings of the module, its definitions and its attributes."""
        return [(string.lineno, str(string.value)) for string in self._strings()]

    def _strings(self) -> Iterator[ast.Constant]:
        """Statements that are only a string."""
        for node in self.nodes:
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                yield node.value

    @cached_property
    def comments(self) -> set[int]:
        """Numbers of the lines that hold a comment only."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {
            token.start[0]
            for token in tokens
            if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
        }

    @cached_property
    def code(self) -> list[str]:
        """Lines of code: neither blank, nor a comment, nor part of a docstring."""
        left_out = set(self.comments)
        for string in self._strings():
            left_out.update(range(string.lineno, (string.end_lineno or string.lineno) + 1))
        return [
            line
            for number, line in enumerate(self.lines, 1)
            if line.strip() and number not in left_out
        ]


def read_sources(folders: Iterable[Path]) -> list[Source]:
    """Read the Python files under some folders."""
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return [Source(file, file.read_text(encoding="utf-8")) for file in files]


def wh_openings(sources: Iterable[Source]) -> list[str]:
    """Places of the docstrings that open with a wh-word."""
    return [
        f"{source.path}:{line}: {text.strip().splitlines()[0]}"
        for source in sources
        for line, text in source.docstrings
        if WH_OPENING.match(text.strip())
    ]


def dense_functions(sources: Iterable[Source]) -> tuple[int, int]:
    """Number of long functions without a blank line after their docstring, and of all long functions."""
    dense = total = 0
    for source in sources:
        for function in source.functions:
            body = function.body[1:] if ast.get_docstring(function) is not None else function.body
            if not body or (body[-1].end_lineno or 0) - body[0].lineno + 1 < LONG_FUNCTION:
                continue

            total += 1
            inner = source.lines[body[0].lineno - 1 : body[-1].end_lineno]
            dense += all(line.strip() for line in inner)
    return dense, total


def any_parameters(sources: Iterable[Source]) -> tuple[int, int]:
    """Number of parameters annotated with a plain ``Any``, and of all annotated ones."""
    annotations: list[ast.expr] = []
    for source in sources:
        for function in source.functions:
            parts = function.args
            parameters = [
                *parts.posonlyargs,
                *parts.args,
                *parts.kwonlyargs,
                parts.vararg,
                parts.kwarg,
            ]
            annotations += [
                part.annotation
                for part in parameters
                if part is not None and part.annotation is not None
            ]
    return sum(ast.unparse(annotation) == "Any" for annotation in annotations), len(annotations)


def names_of_tests(sources: Iterable[Source]) -> list[str]:
    """Names of the tests."""
    return [name for source in sources for name in TEST.findall(source.text)]


def has_doctest(definition: Definition) -> bool:
    """Tell definitions with an example; a method's example counts for its class."""
    parts = [node for node in ast.walk(definition) if isinstance(node, Definition)]
    return any(">>>" in (ast.get_docstring(part) or "") for part in parts)


def defines_all(source: Source) -> bool:
    """Tell modules with ``__all__``."""
    for node in source.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return True
    return False


def measure(sources: Sequence[Source], tests: Sequence[Source]) -> list[tuple[str, str, str]]:
    """Measure a project.

    Args:
        sources: Its files.
        tests: The files of its tests.

    Returns:
        Name, value and aim of each measure.
    """
    n_code = sum(len(source.code) for source in sources)
    characters = sum(len(line) for source in sources for line in source.code)
    n_lines = sum(len(source.lines) for source in sources)
    nodes = [node for source in sources for node in source.nodes]
    comprehensions = sum(
        isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp))
        for node in nodes
    )
    comments = sum(len(source.comments) for source in sources)

    docstrings = [text for source in sources for _, text in source.docstrings]
    n_words = sum(len(re.findall(r"[A-Za-z]+", text)) for text in docstrings)
    n_relative = sum(len(RELATIVE.findall(text)) for text in docstrings)

    public = [definition for source in sources for definition in source.public]
    packages = [source for source in sources if source.path.name == "__init__.py"]
    folders = Counter(source.path.parent for source in sources)
    names = names_of_tests(tests)
    n_long_names = sum(len(name) > LONGEST_TEST_NAME for name in names)
    dense, n_long = dense_functions(sources)
    n_any, n_parameters = any_parameters(sources)
    fullest, n_files = folders.most_common(1)[0]

    return [
        ("functions of 15+ lines without a blank line inside", _share(dense, n_long), "under 30 %"),
        (
            "comprehensions per 1,000 lines of code",
            f"{1000 * comprehensions / n_code:.1f}",
            "about 20",
        ),
        ("mean characters of a line of code", f"{characters / n_code:.1f}", "about 40"),
        ("lines that are a comment", _share(comments, n_lines), "about 3 %"),
        (
            "docstrings that open with a wh-word",
            _share(len(wh_openings(sources)), len(docstrings)),
            "0",
        ),
        (
            "relative and wh-words per 100 words of docstring",
            f"{100 * n_relative / n_words:.2f}",
            "under 1.5",
        ),
        (
            "public definitions with a doctest",
            _share(sum(map(has_doctest, public)), len(public)),
            "every metric and model",
        ),
        ("files in the fullest folder", f"{n_files} ({fullest.name})", "at most 15"),
        ("parameters annotated Any", _share(n_any, n_parameters), "under 2 %"),
        ("packages with __all__", f"{sum(map(defines_all, packages))} of {len(packages)}", "all"),
        ("longest file, lines", str(max(len(source.lines) for source in sources)), "at most 400"),
        (
            "median length of a test's name",
            f"{median(map(len, names)):.0f}" if names else "-",
            "under 40",
        ),
        ("test names over 40 characters", _share(n_long_names, len(names)), "0"),
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % ({part} of {whole})" if whole else "-"


def main() -> None:
    """Print the measures as a Markdown table."""
    parser = argparse.ArgumentParser(description="Measure how easily code is read.")
    parser.add_argument("folders", nargs="*", type=Path, help="packages (default: this project)")
    parser.add_argument("--tests", type=Path, default=ROOT / "tests", help="folder of the tests")
    parser.add_argument(
        "--list", action="store_true", help="also list docstrings that open with a wh-word"
    )
    options = parser.parse_args()

    sources = read_sources(options.folders or [ROOT / name for name in SOURCES])
    print("| measure | value | aim |\n|---|---|---|")
    for row in measure(sources, read_sources([options.tests])):
        print("|", " | ".join(row), "|")
    if options.list:
        print(*wh_openings(sources), sep="\n")


if __name__ == "__main__":
    main()
