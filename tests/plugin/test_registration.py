"""The package imports nothing heavy. RecBole finds the plugin whenever it is imported afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import recbole_sibrar

PACKAGE = Path(recbole_sibrar.__file__).parent
HEAVY = ("torch", "recbole", "ray", "pandas", "scipy", "sklearn")
LIGHT = ("config", "errors.py", "files.py", "names.py", "protocols.py", "plugin/registration.py")


def run(code: str) -> str:
    """Output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_of_the_package_is_light() -> None:
    code = "import json, sys, recbole_sibrar, recbole_sibrar.config; print(json.dumps(sorted(sys.modules)))"
    assert not {"numpy", *HEAVY} & set(json.loads(run(code)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "import recbole_sibrar; from recbole.utils import get_model",
        "from recbole.utils import get_model; import recbole_sibrar",
        "import recbole_sibrar, importlib.util as util; util.find_spec('recbole'); from recbole.utils import get_model",
        "import recbole_sibrar, recbole; from recbole.utils import get_model",
        "from recbole_sibrar.data.dataset import MultimodalDataset; from recbole.utils import get_model",
        "from recbole_sibrar.data import MultimodalDataset; from recbole.utils import get_model",
        "import recbole_sibrar; recbole_sibrar.register(); from recbole.utils import get_model",
        "import recbole_sibrar, importlib; get_model = importlib.import_module('recbole.utils').get_model",
    ],
)
def test_recbole_knows_the_plugin(imports: str) -> None:
    assert run(f"{imports}\nprint(get_model('SiBraR').__module__)") == "recbole_sibrar.model.sibrar"


def light_modules() -> list[str]:
    """Names of the modules that must not import RecBole."""
    assert all((PACKAGE / name).exists() for name in LIGHT)
    files = [file for name in LIGHT for file in _files(PACKAGE / name)]
    dotted = [
        str(file.relative_to(PACKAGE.parent).with_suffix("")).replace("/", ".") for file in files
    ]
    return sorted(name.removesuffix(".__init__") for name in dotted)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("*.py"))


def test_light_modules_import_no_recbole() -> None:
    code = f"import importlib, json, sys\nfor name in {light_modules()}: importlib.import_module(name)\n"
    assert not set(HEAVY) & set(json.loads(run(f"{code}print(json.dumps(sorted(sys.modules)))")))


@pytest.mark.slow
def test_recbole_is_as_it_is_without_us() -> None:
    code = "import recbole; print(type(recbole.__spec__.loader), type(recbole.__loader__), recbole.__file__)"
    assert run(f"import recbole_sibrar; {code}") == run(code)


@pytest.mark.slow
def test_ray_is_imported_when_it_is_used() -> None:
    code = (
        "import recbole_sibrar, sys, recbole.quick_start as quick; before = 'ray' in sys.modules;"
        "import ray; print(before, ray.__name__, quick.quick_start.tune.report.__module__.split('.')[:2])"
    )
    assert run(code) == "False ray ['ray', 'tune']"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        "run_recbole(['--help'])",
        "run_recbole_group(['--help'])",
        "run_hyper(['--help'])",
        "run_recbole(['--epochs', '5'])",
        "run_recbole(['--modle=SiBraR'])",
        "run_recbole(['--model=sibrar'])",
        "run_recbole(['--model=SiBraR', '--item_modalites=[id]'])",
        "run_recbole(['--config_files=cold_item'])",
        "run_hyper(['--model=SiBraR', '--contrastve=none'])",
        "run_recbole_group(['--model_list=BPR,SiBrar'])",
        "main(['--help'])",
        "main(['msising'])",
        *(
            f"main(['{name}', '--help'])"
            for name in ("doctor", "missing", "gap", "significance", "report")
        ),
        *(f"main(['{name}', '--help'])" for name in ("encode-text", "encode-image", "prepare")),
        "main(['prepare', 'generic', '--outptu', 'x'])",
        "main(['significance', 'a'])",
        "main(['gap'])",
        "main(['gap', 'x.pth', '--items=nwe'])",
        "main(['missing', 'x.pth', '--rates=2'])",
        "main(['incomplete', '--dataset=ml-100k', '--rates=1'])",
        "main(['incomplete', '--dataset=ml-100k', '--imputations=median'])",
        "main(['incomplete', '--dataset=ml-100k', '--model_list=SiBrar'])",
    ],
)
def test_help_and_wrong_options_are_light(arguments: str) -> None:
    """Timings vary, so the test looks for heavy imports instead."""
    code = (
        "import json, sys\nfrom recbole_sibrar.cli import main, run_hyper, run_recbole, run_recbole_group\n"
        f"try: status = {arguments}\nexcept SystemExit as end: status = end.code\n"
        "print(json.dumps([status, sorted(sys.modules)]))"
    )
    status, modules = json.loads(run(code).splitlines()[-1])
    assert status == (0 if "--help" in arguments else 2)
    assert not {
        "torch",
        "recbole",
        "ray",
        "matplotlib",
        "sklearn",
        "statsmodels",
        "transformers",
    } & set(modules)


WITHOUT = """
import importlib.machinery, sys

find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = staticmethod(
    lambda name, *arguments: None if name == {name!r} else find(name, *arguments)
)
from recbole_sibrar import cli
sys.exit(cli.{call})
"""


def last_line_without(name: str, call: str) -> str:
    """Last line of a command where a package is not installed."""
    command = [sys.executable, "-c", WITHOUT.format(name=name, call=call)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_missing_recbole_is_one_line() -> None:
    line = last_line_without("recbole", "main(['doctor'])")
    assert line.startswith(
        "recbole-sibrar doctor: error: RecBole is not installed; recbole-sibrar needs it: pip install "
    )
    assert line.endswith(" recbole==1.2.1")
    assert ("--no-deps" in line) == (sys.version_info >= (3, 12))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "option", "expected"),
    [
        (
            "ray",
            "--tool=Ray",
            "--tool=Ray: ray is not installed: pip install 'recbole-sibrar[cluster]'",
        ),
        (
            "optuna",
            "--tool=Optuna",
            "--tool=Optuna: optuna is not installed: pip install 'recbole-sibrar[tune]'",
        ),
    ],
)
def test_missing_tools_are_named(package: str, option: str, expected: str) -> None:
    arguments = ["--model=BPR", "--dataset=ml-100k", option]
    assert last_line_without(package, f"run_hyper({arguments})") == f"run_hyper: error: {expected}"


@pytest.mark.slow
def test_recbole_needs_no_ray(tmp_path: Path) -> None:
    code = WITHOUT.format(name="ray", call="main(['doctor'])")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "self-test (train, evaluate, save, reload): passed" in done.stdout
