"""Test of the installation: ``recbole-sibrar doctor``."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import recbole.quick_start
import torch
from recbole.utils import get_model, get_trainer

from recbole_sibrar import plugin
from recbole_sibrar.names import OWN_MODELS
from recbole_sibrar.plugin import repairs
from recbole_sibrar.plugin.extend import is_applied
from recbole_sibrar.plugin.extensions import EXTENSIONS
from recbole_sibrar.quick_start.hyper.suggestions import release_of

__all__ = ["PACKAGES", "main", "self_test", "set_of_libraries"]

PACKAGES = (
    *("recbole-sibrar", "recbole", "torch", "numpy", "pandas", "scipy"),
    *("ray", "setuptools", "hyperopt", "optuna"),
)
"""Packages with an influence on RecBole; their versions are shown."""

_LEAST_RAY = (2, 40)
"""First release of Ray with NumPy 2."""

_N_USERS = 60
_N_ITEMS = 80

_SETTINGS = {
    "data_path": "dataset",
    "epochs": 3,
    "train_batch_size": 1024,
    "show_progress": False,
    "state": "ERROR",
    "user_modalities": ["interactions"],
    "item_modalities": "auto",
}
"""Keys of the self-test."""


def main(say: Callable[[str], None]) -> int:
    """Report on the installation and test it.

    Args:
        say: Takes the report line by line.

    Returns:
        0 if everything works, else 1.
    """
    _report_versions(say)
    registered = _report_plugin(say)

    start = time.perf_counter()
    fault = self_test()
    seconds = time.perf_counter() - start
    outcome = "passed" if fault is None else fault
    say(f"self-test (train, evaluate, save, reload): {outcome} in {seconds:.1f} s")
    return 0 if registered and fault is None else 1


def _report_versions(say: Callable[[str], None]) -> None:
    say(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        say(f"  {package:<15} {_version(package)}")
    say(f"libraries: {set_of_libraries(_version('numpy'), _version('ray'))}")


def set_of_libraries(numpy: str, ray: str) -> str:
    """Name the set of libraries that is installed.

    Args:
        numpy: Version of NumPy.
        ray: Version of Ray, or ``not installed``.

    Example:
        >>> set_of_libraries("1.26.4", "2.6.3")
        "older set, with RecBole's pins (constraints.txt)"
        >>> set_of_libraries("2.4.6", "not installed")
        "newer set, without RecBole's pins (constraints-py312.txt)"
    """
    is_new = release_of(numpy) >= (2,)
    has_old_ray = ray[0].isdigit() and release_of(ray) < _LEAST_RAY
    if is_new and has_old_ray:
        return f"a mix: ray {ray} needs NumPy 1, found is NumPy {numpy}; pip install -U 'ray[tune]'"
    if is_new:
        return "newer set, without RecBole's pins (constraints-py312.txt)"
    return "older set, with RecBole's pins (constraints.txt)"


def _report_plugin(say: Callable[[str], None]) -> bool:
    """Report repairs, devices and registration; return True for a registered plugin."""
    say("repairs of RecBole")
    for repair in repairs.REPAIRS:
        state = "active" if repairs.apply_repairs()[repair.name] else "not needed"
        issue = f" ({repair.issue})" if repair.issue else ""
        say(f"  {repair.name}{issue}: {state}")

    _report_extensions(say)

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    n_threads = torch.get_num_threads()
    named = ", ".join(gpus) or "none"
    say(f"devices: {os.cpu_count()} CPUs, {n_threads} torch threads, GPUs: {named}")

    registered = plugin.is_registered()
    if registered:
        # Through RecBole's own function, by which run_recbole finds a model.
        registered = all(get_model(name).__name__ == name for name in OWN_MODELS)
    state = "registered" if registered else "NOT registered"
    say(f"plugin: {state}, models {', '.join(OWN_MODELS)}")
    return registered


def _report_extensions(say: Callable[[str], None]) -> None:
    """Report the extended functions of RecBole in the order of their application."""
    say("extensions of RecBole")
    for extension in EXTENSIONS:
        owner = extension.owner.__name__.removeprefix("recbole.")
        module = extension.function.__module__
        function = f"{module}.{extension.function.__qualname__}".removeprefix("recbole_sibrar.")
        state = "" if is_applied(extension) else ": NOT applied"
        say(f"  {owner}.{extension.name} <- {function}: {extension.why}{state}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def self_test() -> str | None:
    """Train SiBraR on generated data, reload its checkpoint and compare the results.

    Returns:
        The fault, or None.
    """
    with tempfile.TemporaryDirectory() as folder, _working_in(folder):
        _write_dataset(Path("dataset/doctor"))
        # Through RecBole's own functions, because these are what the plugin has to extend.
        result = recbole.quick_start.run_recbole("SiBraR", "doctor", config_dict=_SETTINGS)
        recall = result["test_result"]["recall@10"]

        checkpoints = list(Path("saved").glob("SiBraR-*.pth"))
        if len(checkpoints) != 1:
            return f"FAILED: expected one checkpoint, found {len(checkpoints)}"

        loaded = recbole.quick_start.load_data_and_model(str(checkpoints[0]))
        config, model, _, _, _, test_data = loaded
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        again = trainer.evaluate(test_data, load_best_model=False)["recall@10"]
        # Equal to the last digit: a reloaded model ranks the same items.
        if again == recall:
            return None
        return f"FAILED: recall@10 was {recall}, and {again} after reloading"


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    """Work in a folder and without arguments within a ``with`` block."""
    previous = os.getcwd()
    arguments = sys.argv
    # RecBole writes logs and checkpoints to the current folder.
    os.chdir(folder)
    # It reads the arguments of the command line as keys.
    sys.argv = sys.argv[:1]
    try:
        yield
    finally:
        os.chdir(previous)
        sys.argv = arguments


def _write_dataset(folder: Path) -> None:
    """Write users and items of two tastes, with one field of each type."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    _write_interactions(folder / "doctor.inter", rng)
    _write_items(folder / "doctor.item", rng)


def _write_interactions(file: Path, rng: np.random.Generator) -> None:
    lines = ["user_id:token\titem_id:token"]
    for user in range(_N_USERS):
        for item in range(_N_ITEMS):
            if item % 2 == user % 2 and rng.random() < 0.3:
                lines.append(f"u{user}\ti{item}")
    file.write_text("\n".join(lines) + "\n")


def _write_items(file: Path, rng: np.random.Generator) -> None:
    lines = ["item_id:token\tgroup:token\ttags:token_seq\tprice:float\ttext:float_seq"]
    for item in range(_N_ITEMS):
        # The taste shows in group, tags and text, and in the interactions: it can be learnt.
        taste = item % 2
        vector = " ".join(f"{number:.3f}" for number in rng.normal(taste, 1, 8))
        lines.append(f"i{item}\tg{taste}\tt{taste} t{item % 5}\t{item}\t{vector}")
    file.write_text("\n".join(lines) + "\n")
