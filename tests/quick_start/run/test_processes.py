"""Commands that start several processes, on loopback; each ends by itself."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
import torch

from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.run import joining
from recbole_sibrar.quick_start.run.process_options import Processes, torchrun_processes

TIMEOUT = 600
COMMAND = [
    sys.executable,
    "-c",
    "import sys; from recbole_sibrar.cli import run_recbole; sys.exit(run_recbole())",
]
KEYS = ["--model=SiBraR", "--dataset=tiny", "--show_progress=False", "--load_col=None", "--gpu_id="]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start(
    folder: Path, data: Path, *arguments: str, command: list[str] = COMMAND
) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    with open(folder / "output.txt", "w", encoding="utf-8") as output:
        return subprocess.Popen(
            [*command, *KEYS, f"--data_path={data}", *arguments],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def end(process: subprocess.Popen[str], folder: Path) -> tuple[int, str]:
    try:
        status = process.wait(TIMEOUT)
    finally:
        process.kill()
    return status, (folder / "output.txt").read_text(encoding="utf-8")


def results_in(output: str) -> list[str]:
    return re.findall(r"test result.*: (OrderedDict.*)", output)


def wait_for(folder: Path, text: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + TIMEOUT
    while text not in (folder / "output.txt").read_text(encoding="utf-8"):
        assert process.poll() is None, (folder / "output.txt").read_text(encoding="utf-8")
        assert time.monotonic() < until
        time.sleep(0.1)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


RUN = ["--epochs=12", "--stopping_step=100", "--dropout_prob=0.2", "--user_modalities=auto"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> tuple[Path, str]:
    """A run of two processes that nothing has happened to: its folder and output."""
    folder = tmp_path_factory.mktemp("whole")
    status, output = end(start(folder, shared_folder, "--nproc=2", *RUN), folder)
    assert status == 0, output
    return folder, output


@pytest.mark.slow
@pytest.mark.processes
def test_only_one_process_writes(whole: tuple[Path, str]) -> None:
    folder, output = whole
    assert len(results_in(output)) == 1
    assert len(list((folder / "saved").glob("*.pth"))) == 1
    assert len(re.findall("epoch 11 training", output)) == 1


@pytest.mark.slow
@pytest.mark.processes
def test_all_launchers_give_equal_results(
    tmp_path: Path, shared_folder: Path, whole: tuple[Path, str]
) -> None:
    (expected,) = results_in(whole[1])
    address = ["--world_size=2", "--ip=127.0.0.1", f"--port={free_port()}"]
    second = start(tmp_path / "second", shared_folder, "--group_offset=1", *address, *RUN)
    first = start(tmp_path / "first", shared_folder, "--group_offset=0", *address, *RUN)
    status, output = end(first, tmp_path / "first")
    other_status, other_output = end(second, tmp_path / "second")
    assert (status, other_status) == (0, 0), output + other_output
    assert results_in(output) == [expected]
    assert results_in(other_output) == []
    # the machine needs no disk in common with the first
    assert not list((tmp_path / "second" / "saved").glob("*"))

    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        f"--master_port={free_port()}",
    ]
    script = tmp_path / "run_recbole"
    script.write_text(
        "from recbole_sibrar.cli import run_recbole\nrun_recbole()\n", encoding="utf-8"
    )
    started = start(tmp_path / "torchrun", shared_folder, *RUN, command=[*torchrun, str(script)])
    status, output = end(started, tmp_path / "torchrun")
    assert status == 0, output
    assert results_in(output) == [expected]


@pytest.mark.slow
@pytest.mark.processes
def test_killed_process_ends_the_others(tmp_path: Path, shared_folder: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, shared_folder, "--nproc=2", "--epochs=5000", "--stopping_step=5000")
    wait_for(folder, "epoch 2 evaluating", process)
    workers = workers_of(process)
    assert len(workers) == 2
    os.kill(workers[1].pid, signal.SIGKILL)
    status, output = end(process, folder)
    assert status == 1, output
    assert re.findall(
        r"^run_recbole: error: rank ([01]) was ended by SIGKILL", output, re.MULTILINE
    ), output
    assert not psutil.wait_procs(workers, timeout=180)[1]


@pytest.mark.slow
@pytest.mark.processes
def test_sigterm_saves_state_to_resume(
    tmp_path: Path, shared_folder: Path, whole: tuple[Path, str]
) -> None:
    folder = tmp_path / "run"
    process = start(folder, shared_folder, "--nproc=2", *RUN)
    wait_for(folder, "epoch 1 evaluating", process)
    process.terminate()
    status, output = end(process, folder)
    assert status == 128 + signal.SIGTERM, output
    assert len(re.findall(r"stopped by SIGTERM in epoch \d+; --resume=\S+-last.pth", output)) == 1

    status, output = end(start(folder, shared_folder, "--nproc=2", *RUN, "--resume=auto"), folder)
    assert status == 0, output
    assert results_in(output) == results_in(whole[1])


def test_status_of_sigterm_before_training() -> None:
    error = joining.reason_of_end([], [-signal.SIGTERM, -signal.SIGTERM], 0)
    assert isinstance(error, SystemExit)
    assert error.code == 128 + signal.SIGTERM


def test_results_larger_than_a_pipe_arrive() -> None:
    context = torch.multiprocessing.get_context("spawn")
    queue, errors = context.SimpleQueue(), context.SimpleQueue()
    results = {f"recall@10[zip_code={number}]": 0.5 for number in range(10_000)}
    sender = threading.Thread(target=queue.put, args=(results,), daemon=True)

    class Context:
        processes: ClassVar[list[Any]] = []

        def join(self, timeout: float) -> bool:
            sender.join(timeout)
            return not sender.is_alive()

    sender.start()
    assert joining.join(Context(), queue, errors, 0) == results


@pytest.mark.slow
@pytest.mark.processes
def test_what_a_process_refuses_is_one_line(tmp_path: Path, shared_folder: Path) -> None:
    arguments = ["--nproc=2", "--item_modalities=[nothing]"]
    status, output = end(start(tmp_path / "run", shared_folder, *arguments), tmp_path / "run")
    assert status == 2, output
    (line,) = [line for line in output.splitlines() if line.startswith("run_recbole: error: ")]
    assert "item_modalities" in line
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (Processes(nproc=0), "--nproc: found 0, allowed is a positive number of processes"),
        (Processes(nproc=3, world_size=2), "--world_size"),
        (Processes(nproc=2, group_offset=1), "--group_offset"),
        (Processes(nproc=1, world_size=4, group_offset=4), "--group_offset"),
        (Processes(nproc=2, port="many"), "--port"),
        (Processes(nproc=2, port="65536"), "--port"),
        (Processes(port="5678"), "--port: have no effect with a single process"),
        (Processes(ip="10.0.0.1"), "--ip, --port: have no effect"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(asked: Processes, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        asked.check()


@pytest.mark.parametrize(
    ("gpus", "gpu_id", "allowed"),
    [(1, "0", False), (4, "0", False), (4, "0,1", True), (4, "", True)],
)
def test_each_process_needs_a_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch, gpus: int, gpu_id: str, allowed: bool
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    if allowed:
        Processes(nproc=2).check(gpu_id)
    else:
        with pytest.raises(ConfigError, match="--nproc: found 2"):
            Processes(nproc=2).check(gpu_id)


def test_each_process_gets_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert Processes(nproc=2).own_gpus() == {"gpu_id": "0,1"}
    assert Processes(nproc=3).own_gpus() == {}
    assert Processes(nproc=1).own_gpus() == {}
    assert Processes(nproc=1, world_size=2).own_gpus() == {}


def test_torchrun_says_which_process_this_is() -> None:
    environment = {
        "TORCHELASTIC_RUN_ID": "none",
        "RANK": "5",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "WORLD_SIZE": "8",
        "MASTER_ADDR": "10.0.0.1",
        "MASTER_PORT": "29500",
    }
    found = torchrun_processes(environment)
    assert found == Processes(4, 8, 4, "10.0.0.1", "29500", local_rank=1)
    assert not found.single
    assert not found.is_first
    assert torchrun_processes({"RANK": "5"}) is None


@pytest.mark.slow
@pytest.mark.processes
def test_processes_save_no_loaders(tmp_path: Path, shared_folder: Path) -> None:
    split = "{'split': {'RS': [0.9, 0.1, 0.0]}, 'group_by': 'user', 'mode': 'full'}"
    keys = [
        "--nproc=2",
        "--epochs=1",
        "--save_dataloaders=True",
        "--save_dataset=True",
        f"--eval_args={split}",
    ]
    status, output = end(start(tmp_path / "run", shared_folder, *keys), tmp_path / "run")
    assert status == 0, output
    assert output.count("nothing is saved, as each of several processes has its own loaders") == 1
    files = sorted(file.name for file in (tmp_path / "run" / "saved").iterdir())
    assert len(files) == 2  # no state either, as the run has no test part to go on with
    assert files[0].startswith("SiBraR-")
    assert files[1] == "tiny-MultimodalDataset.pth"


@pytest.mark.slow
@pytest.mark.processes
def test_processes_refuse_other_data(
    whole: tuple[Path, str], shared_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(shared_folder, tmp_path / "dataset")
    with (tmp_path / "dataset" / "tiny" / "tiny.inter").open("a", encoding="utf-8") as file:
        file.write("u1\tnew\t3\t5\n")
    (best,) = (whole[0] / "saved").glob("*.pth")
    keys = ["--nproc=2", f"--resume={best}", *RUN]
    status, output = end(start(tmp_path / "run", tmp_path / "dataset", *keys), tmp_path / "run")
    assert status == 2, output
    (line,) = [line for line in output.splitlines() if line.startswith("run_recbole: error: ")]
    assert "was trained with other data than this run has: 1 new item (new)" in line
