"""``recbole-sibrar doctor``: is everything in place, and does a small model train?"""

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
from recbole.utils import get_model

from recbole_sibrar import plugin
from recbole_sibrar.names import MODELS
from recbole_sibrar.plugin import repairs

PACKAGES = ("recbole-sibrar", "recbole", "torch", "numpy", "pandas", "scipy", "ray", "setuptools", "hyperopt")
"""Packages whose versions decide whether RecBole runs."""


def main(say: Callable[[str], None]) -> int:
    """Report on the installation and test it.

    Args:
        say: Takes the report line by line.

    Returns:
        0 if everything works, else 1.
    """
    say(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        say(f"  {package:<15} {_version(package)}")
    say("repairs of RecBole")
    for repair in repairs.REPAIRS:
        state = "active" if repairs.apply_repairs()[repair.name] else "not needed"
        say(f"  {repair.name} ({repair.issue}): {state}")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    say(f"devices: {os.cpu_count()} CPUs, {torch.get_num_threads()} torch threads, GPUs: {', '.join(gpus) or 'none'}")
    registered = plugin.is_registered() and all(get_model(name).__name__ == name for name in MODELS)
    say(f"plugin: {'registered' if registered else 'NOT registered'}, models {', '.join(MODELS)}")
    start = time.perf_counter()
    fault = self_test()
    seconds = time.perf_counter() - start
    say(f"self-test (train, evaluate, save, reload): {'passed' if fault is None else fault} in {seconds:.1f} s")
    return 0 if registered and fault is None else 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def self_test() -> str | None:
    """Train SiBraR on generated data, reload its checkpoint and compare.

    Returns:
        What went wrong, or None.
    """
    with tempfile.TemporaryDirectory() as folder, _working_in(folder):
        _write_dataset(Path("dataset/doctor"))
        settings = {
            "data_path": "dataset",
            "epochs": 3,
            "train_batch_size": 1024,
            "show_progress": False,
            "state": "ERROR",
            "user_modalities": ["interactions"],
            "item_modalities": "auto",
        }
        result = recbole.quick_start.run_recbole("SiBraR", "doctor", config_dict=settings)
        recall = result["test_result"]["recall@10"]
        checkpoints = list(Path("saved").glob("SiBraR-*.pth"))
        if len(checkpoints) != 1:
            return f"FAILED: expected one checkpoint, found {len(checkpoints)}"
        config, model, _, _, _, test_data = recbole.quick_start.load_data_and_model(str(checkpoints[0]))
        trainer = recbole.utils.get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        again = trainer.evaluate(test_data, load_best_model=False)["recall@10"]
        return None if again == recall else f"FAILED: recall@10 was {recall}, and {again} after reloading"


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    """Work elsewhere and without arguments: RecBole writes to the current folder and reads the command line."""
    previous, arguments = os.getcwd(), sys.argv
    os.chdir(folder)
    sys.argv = sys.argv[:1]
    try:
        yield
    finally:
        os.chdir(previous)
        sys.argv = arguments


def _write_dataset(folder: Path) -> None:
    """Users and items of two tastes, with one field of each type."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    pairs = [(user, item) for user in range(60) for item in range(80) if item % 2 == user % 2 and rng.random() < 0.3]
    lines = ["user_id:token\titem_id:token", *(f"u{user}\ti{item}" for user, item in pairs)]
    (folder / "doctor.inter").write_text("\n".join(lines) + "\n")
    lines = ["item_id:token\tgroup:token\ttags:token_seq\tprice:float\ttext:float_seq"]
    for item in range(80):
        vector = " ".join(f"{number:.3f}" for number in rng.normal(item % 2, 1, 8))
        lines.append(f"i{item}\tg{item % 2}\tt{item % 2} t{item % 5}\t{item}\t{vector}")
    (folder / "doctor.item").write_text("\n".join(lines) + "\n")
