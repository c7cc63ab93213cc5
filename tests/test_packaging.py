from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a wheel built from a copy of the project."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("recbole_sibrar", "properties", "dataset_prep"):
        shutil.copytree(ROOT / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        ".",
        ".",
    ]
    subprocess.run(command, cwd=source, check=True)
    (wheel,) = source.glob("*.whl")
    target = tmp_path_factory.mktemp("wheel")
    with ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


@pytest.mark.slow
def test_wheel_has_defaults_and_converters(unpacked: Path) -> None:
    for source, packed in (("properties", "properties"), ("dataset_prep", "dataset_prep")):
        expected = {
            file.relative_to(ROOT / source)
            for file in (ROOT / source).rglob("*")
            if file.suffix in (".py", ".yaml", ".hyper")
        }
        found = {
            file.relative_to(unpacked / "recbole_sibrar" / packed)
            for file in (unpacked / "recbole_sibrar" / packed).rglob("*.*")
        }
        assert expected
        assert expected <= found


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["report/assets", "serving/page"])
def test_wheel_has_the_assets_of_pages(unpacked: Path, folder: str) -> None:
    parts = Path("recbole_sibrar", folder)
    assert {file.name for file in (unpacked / parts).iterdir()} == {
        file.name for file in (ROOT / parts).iterdir()
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_defaults_are_found_once_installed(unpacked: Path, tmp_path: Path, kind: str) -> None:
    script = (
        "import recbole_sibrar, recbole_sibrar.dataset_prep, recbole_sibrar.config.choices as choices;"
        "assert (choices.properties() / 'model' / 'SiBraR.yaml').is_file();"
        "print(recbole_sibrar.__file__)"
    )
    environment = {"PYTHONPATH": str(unpacked)} if kind == "wheel" else {}
    command = [sys.executable, "-c", script]
    output = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert (str(unpacked) in output) == (kind == "wheel")
