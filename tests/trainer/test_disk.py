"""A disk that becomes full while a model is trained: one line names the file and what the run can be continued from."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from recbole.trainer import Trainer

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.trainer.disk import watch_logs

Build = Callable[..., tuple[Any, ...]]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def log(small: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Path]:
    """A log on the small disk, as RecBole's goes on with every message."""
    caplog.set_level("INFO")
    file = small / "run.log"
    handler = logging.FileHandler(file)
    logging.getLogger().addHandler(handler)
    watch_logs()
    yield file
    logging.getLogger().removeHandler(handler)


def fill(folder: Path) -> None:
    with suppress(OSError), open(folder / "rest", "wb", buffering=0) as stream:
        while stream.write(b"0" * 4096):
            pass


def train(make_model: Build, small: Path, **settings: Any) -> tuple[str, Trainer]:
    """Fill the small disk after three epochs of very many; return what the training ends with."""
    keys = {"model": "BPR", "epochs": 400, "stopping_step": 1000, "checkpoint_every": 1, **settings}
    config, model, train_data, valid_data, _ = make_model(**keys)
    trainer = Trainer(config, model)

    def after(epoch: int, score: float) -> None:
        trainer.tensorboard.flush()
        if epoch == 2:
            fill(small)

    with pytest.raises(DataError) as refused:
        trainer.fit(train_data, valid_data, callback_fn=after)
    return str(refused.value), trainer


def assert_intact(line: str, file: str, trainer: Trainer, saved: Path) -> None:
    (last,) = saved.glob("*-last.pth")
    assert (
        line
        == f"the training failed: {file}: No space left on device; --resume={last} continues this run"
    )
    assert load_checkpoint(str(last))["epoch"] >= max(trainer.train_loss_dict) - 1


def test_full_disk_and_learning_curve(make_model: Build, tmp_path: Path, small: Path) -> None:
    curve, saved = small / "curve.csv", tmp_path / "saved"
    line, trainer = train(
        make_model, small, save_learning_curve=str(curve), checkpoint_dir=str(saved)
    )
    assert_intact(line, str(curve), trainer, saved)
    assert curve.read_text().count("\n") == 4
    assert sorted(file.name for file in small.iterdir()) == ["curve.csv", "rest"]


def test_full_disk_and_log(
    make_model: Build, tmp_path: Path, small: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "saved"
    line, trainer = train(make_model, small, checkpoint_dir=str(saved), state="INFO")
    assert_intact(line, str(log), trainer, saved)
    assert "Traceback" not in capsys.readouterr().err


def test_full_disk_and_tensorboard(
    make_model: Build, tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    saved = tmp_path / "saved"
    monkeypatch.chdir(small)
    line, trainer = train(make_model, small, checkpoint_dir=str(saved), tensorboard="scalars")
    (events,) = small.glob("log_tensorboard/*/*")
    assert_intact(line, str(events.relative_to(small)), trainer, saved)
    assert not failures
