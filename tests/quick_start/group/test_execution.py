"""Processes of the runs of a comparison: failures, interruptions, several at a time."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recbole_sibrar.quick_start.group import execution
from recbole_sibrar.quick_start.group.runs import Run
from recbole_sibrar.quick_start.group.variants import Variant

Plan = Callable[..., tuple[list[Run], list[str]]]

FINISH = """echo '{"test_result": {"recall@10": 0.1}, "best_valid_score": 0.2, "seconds": 1}' > "$3/result.json" """


@pytest.mark.slow
def test_only_failed_runs_are_repeated(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan([Variant("a", "BPR"), Variant("b", "Pop")], [1, 2])
    fake(
        f'echo "$3" >> started; case "$3" in */b-2-*) echo "some.where.BadError: no"; exit 1;; *) {FINISH};; esac'
    )
    (failed,) = execution.execute(runs, 1, notes.append)
    assert (failed.variant.name, failed.seed, failed.finished) == ("b", 2, False)
    assert notes == [f"failed: b, seed 2: BadError: no ({failed.folder / 'log.txt'})"]
    assert Path("started").read_text().split() == [str(run.folder) for run in runs]
    fake(f'echo "$3" >> started; {FINISH}')
    assert execution.execute(runs, 1, notes.append) == []
    assert Path("started").read_text().split()[4:] == [str(failed.folder)]
    assert all(run.result()["test_result"] == {"recall@10": 0.1} for run in runs)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "exit status 3"),
        ("kill -9 $$", "ended by SIGKILL"),
        ("printf 'first\\n\\033[1mlast line\\033[0m\\n'; exit 1", "last line"),
        ("echo done", "done"),  # without a result
    ],
)
def test_a_failure_says_why(
    plan: Plan, fake: Callable[[str], None], script: str, reason: str
) -> None:
    runs, notes = plan()
    fake(script)
    assert execution.execute(runs, 1, notes.append) == runs
    assert notes == [f"failed: BPR, seed 1: {reason} ({runs[0].folder / 'log.txt'})"]


def test_interrupted_run_is_cleared(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan()
    (runs[0].folder / "checkpoint").mkdir(parents=True)
    for name in ("checkpoint/BPR-old.pth", "per_user.parquet", "log.txt"):
        (runs[0].folder / name).write_text("old", encoding="utf-8")
    fake(FINISH)
    assert execution.execute(runs, 1, notes.append) == []
    assert sorted(path.name for path in runs[0].folder.iterdir()) == [
        *("config.yaml", "environment.json", "log.txt", "result.json", "run.yaml")
    ]
    assert (runs[0].folder / "log.txt").read_text() == ""


def test_interrupted_run_resumes_with_auto(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan(resume="auto")
    assert runs[0].folder == plan()[0][0].folder
    assert runs[0].specification["keys"]["resume"] == "auto"
    (runs[0].folder / "checkpoint").mkdir(parents=True)
    for name in (
        "checkpoint/BPR-old-last.pth",
        "learning_curve.csv",
        "per_user.parquet",
        "log.txt",
    ):
        (runs[0].folder / name).write_text("old", encoding="utf-8")
    fake(f'ls "$3/checkpoint" > seen; {FINISH}')
    assert execution.execute(runs, 1, notes.append) == []
    assert Path("seen").read_text() == "BPR-old-last.pth\n"
    assert (runs[0].folder / "learning_curve.csv").is_file()
    assert not (runs[0].folder / "per_user.parquet").exists()


def test_jobs_run_at_the_same_time(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan(seeds=[1, 2, 3, 4])
    wait = "n=0; while [ $(ls started | wc -l) -lt 2 ] && [ $n -lt 100 ]; "
    wait += "do sleep 0.1; n=$((n+1)); done; [ $n -lt 100 ]"
    Path("started").mkdir()
    fake(f'touch started/$$; {wait} && ls started | wc -l > "$3/jobs" && {FINISH}')
    assert execution.execute(runs[:2], 2, notes.append) == []
    assert notes == []


def test_one_command_at_a_time(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan()
    runs[0].folder.mkdir(parents=True)
    fake(FINISH)

    with (runs[0].folder / "log.txt").open("w") as log:  # as another command has it
        fcntl.flock(log, fcntl.LOCK_EX)
        assert execution.execute(runs, 1, notes.append) == runs

    assert "another command is running it" in notes[0]


def test_ctrl_c_ends_all_processes(
    plan: Plan, fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, notes = plan(seeds=[1, 2, 3, 4])
    fake("echo $$ >> pids; [ $(wc -l < pids) -eq 2 ] && kill -TERM $PPID; exec sleep 60")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        execution.execute(runs, 2, notes.append)
    assert time.monotonic() - began < 30
    pids = Path("pids").read_text().split()
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(run.finished for run in runs)
    assert signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
