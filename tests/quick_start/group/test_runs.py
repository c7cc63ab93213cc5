from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from recbole_sibrar import cli
from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.group import execution, planning
from recbole_sibrar.quick_start.group.runs import Run
from recbole_sibrar.quick_start.group.variants import Variant

TEXT = "text=SiBraR:item_modalities=[interactions,text]"
BROKEN = "bad=SiBraR:item_modalities=[nope]"  # which only a run finds out, for it knows the fields


def start(folder: Path, data: Path, models: str, *more: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, with a relative path of the data."""
    keys = [f"--data_path={os.path.relpath(data, folder)}", "--load_col=None", "--epochs=3", "--topk=[5,10]"]
    command = [str(Path(sys.executable).with_name("run_recbole_group")), f"--model_list={models}", "-d", "tiny"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *keys, *more],
        cwd=folder,
        env=environment,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )


def results(folder: Path) -> pd.DataFrame:
    return (
        pd.read_csv(folder / "comparison" / "results.csv")
        .drop(columns=["minutes", "model"])
        .set_index(["name", "seed"])
    )


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def running(folder: Path) -> list[int]:
    """Ids of the processes of runs below a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode().split("\0")
        except OSError:
            continue
        if any("single_run" in word for word in words) and any(str(folder) in word for word in words):
            found.append(int(file.parent.name))
    return found


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> tuple[Path, int, str, str]:
    """A comparison of two models and one that fails, two at a time."""
    folder = tmp_path_factory.mktemp("compared")
    process = start(folder, shared_folder, f"{BROKEN},BPR,{TEXT}", "--jobs=2", "--state=ERROR", "--foo=1")
    output, errors = process.communicate()
    return folder, process.returncode, output, errors


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Path:
    """A comparison that was killed in the second of two runs, and started again."""
    folder = tmp_path_factory.mktemp("killed")
    runs = folder / "comparison" / "runs"
    process = start(folder, shared_folder, TEXT, "--seeds=2")
    wait_until(lambda: list(runs.glob("text-2021-*/log.txt")) and running(folder))
    process.kill()  # so that it cannot end the run that it has started
    wait_until(lambda: not running(folder))
    process.communicate()
    (first,) = runs.glob("*/result.json")
    finished = first.stat().st_mtime_ns
    assert not (folder / "comparison" / "results.csv").exists()
    process = start(folder, shared_folder, TEXT, "--seeds=2")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert first.stat().st_mtime_ns == finished
    return folder


@pytest.mark.slow
@pytest.mark.processes
def test_others_continue_after_a_failure(compared: tuple[Path, int, str, str]) -> None:
    folder, status, output, errors = compared
    assert status == 1
    assert list(results(folder).index) == [("BPR", 2020), ("text", 2020)]
    (line,) = re.findall(r"run_recbole_group: failed: bad, seed 2020: .*", errors)
    assert re.search(r"ConfigError: item_modalities: found 'nope', .*/log\.txt\)$", line)
    assert "Traceback" not in output + errors
    assert "warning: the key 'foo' has no effect" in errors
    assert "Without a result: bad (seed 2020)." in output
    table = (folder / "comparison" / "summary.md").read_text(encoding="utf-8")
    for cell in re.findall(r"\d\.\d{4}", table):
        assert cell in output
    assert not re.search(r"<u>|\*\*|\|", output)


@pytest.mark.slow
@pytest.mark.processes
def test_all_models_have_equal_parts(compared: tuple[Path, int, str, str], killed: Path) -> None:
    folder, _, output, _ = compared
    hashes: dict[str, list[str]] = {}
    for log in (*folder.glob("comparison/runs/[!b]*/log.txt"), *killed.glob("comparison/runs/*/log.txt")):
        _, seed, _ = log.parent.name.rsplit("-", 2)
        hashes.setdefault(seed, []).extend(re.findall(r"held-out pairs (\w{12})", log.read_text(encoding="utf-8")))
    assert {seed: len(found) for seed, found in hashes.items()} == {"2020": 3, "2021": 1}
    assert len(set(hashes["2020"])) == 1
    assert hashes["2020"][0] != hashes["2021"][0]
    assert "NOT TESTED" not in output
    users = [set(pd.read_parquet(file)["user_id"]) for file in folder.glob("comparison/per_user/*-2020.parquet")]
    assert len(users) == 2
    assert users[0] == users[1]


@pytest.mark.slow
@pytest.mark.processes
def test_all_files_are_in_the_folder(compared: tuple[Path, int, str, str]) -> None:
    folder = compared[0]
    assert [path.name for path in folder.iterdir()] == ["comparison"]
    names = {"results.csv", "summary.md", "summary.tex", "significance.csv", "per_user", "learning_curves", "runs"}
    assert {path.name for path in (folder / "comparison").iterdir()} == names
    runs = sorted((folder / "comparison" / "runs").iterdir())
    assert [re.sub("-[0-9a-f]{12}$", "", run.name) for run in runs] == [*("BPR-2020", "bad-2020", "text-2020")]
    for run in (run for run in runs if not run.name.startswith("bad")):
        files = {"log.txt", "run.yaml", "config.yaml", "environment.json", "result.json", "per_user.parquet"}
        assert {path.name for path in run.iterdir() if path.is_file()} == {*files, "learning_curve.csv"}
        assert [path.name for path in (run / "checkpoint").iterdir()] == ["model.pth"]
        assert len(list(run.glob("log/*/*.log"))) == 1


@pytest.mark.slow
@pytest.mark.processes
def test_versions_and_git_state_are_recorded(compared: tuple[Path, int, str, str]) -> None:
    for file in compared[0].glob("comparison/runs/*/environment.json"):
        found = json.loads(file.read_text(encoding="utf-8"))
        assert found["python"] == sys.version.split()[0]
        assert {"recbole", "torch", "numpy", "scipy", "statsmodels", "recbole-sibrar"} <= found["packages"].keys()
        assert set(found["git"]) == {"working directory", "recbole-sibrar"}


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning:thop")  # RecBole counts operations
@pytest.mark.parametrize(("name", "seed"), [("BPR", 2020), ("text", 2021)])
def test_recorded_keys_repeat_a_run(
    compared: tuple[Path, int, str, str],
    killed: Path,
    name: str,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = compared[0] if name == "BPR" else killed
    (run,) = folder.glob(f"comparison/runs/{name}-{seed}-*")
    keys = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert (keys["seed"], keys["epochs"], keys["topk"], keys["dataset"]) == (seed, 3, [5, 10], "tiny")
    assert len(keys) > 60
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    files = ["--save_per_user=users.parquet", "--save_learning_curve=curve.csv", "--show_progress=False"]
    assert cli.run_recbole([f"--config_files={run / 'config.yaml'}", *files]) == 0
    for own, collected in (("users.parquet", "per_user/{}.parquet"), ("curve.csv", "learning_curves/{}.csv")):
        path = folder / "comparison" / collected.format(f"{name}-{seed}")
        assert Path(own).read_bytes() == path.read_bytes()
    table = results(folder).drop(columns="valid_score").loc[(name, seed)]
    users = pd.read_parquet("users.parquet")
    for metric, value in table.items():
        assert users[metric].mean() == pytest.approx(value, abs=5e-5)


@pytest.mark.slow
@pytest.mark.processes
def test_results_depend_on_the_seed(compared: tuple[Path, int, str, str], killed: Path) -> None:
    table = results(killed)
    assert list(table.index) == [("text", 2020), ("text", 2021)]
    pd.testing.assert_series_equal(table.loc[("text", 2020)], results(compared[0]).loc[("text", 2020)])
    assert not table.loc[("text", 2020)].equals(table.loc[("text", 2021)])


@pytest.fixture
def plan(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[Run], list[str]]]:
    """The runs of a comparison and what is noted: ``plan([Variant("a", "BPR")], [1, 2], epochs=3)``."""
    monkeypatch.setattr(sys, "argv", ["run_recbole_group"])
    monkeypatch.chdir(tmp_path)

    def build(
        variants: Sequence[Variant] = (Variant("BPR", "BPR"),),
        seeds: Sequence[int] = (1,),
        files: Sequence[str] = (),
        dataset: str = "tiny",
        **keys: Any,
    ) -> tuple[list[Run], list[str]]:
        notes: list[str] = []
        keys = {"data_path": str(tiny_folder), "load_col": "None", **keys}
        runs = planning.plan(variants, dataset, files, keys, lambda first: list(seeds), Path("out"), notes.append)
        return runs, notes

    return build


Plan = Callable[..., tuple[list[Run], list[str]]]


def key(plan: Plan, *variants: Variant, **keys: Any) -> str:
    """The name of the only run's folder."""
    (run,) = plan(variants or [Variant("BPR", "BPR")], **keys)[0]
    return run.folder.name


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [2]},
        {"learning_rate": "0.1"},
        {"epochs": "7"},
        {"topk": "[3]"},
        {"metrics": "['MRR']"},
        {"eval_groups": "{gender: user}"},
        {"eval_args": "{'split': {'RS': [0.5,0.1,0.4]}}"},
        {"train_neg_sample_args": "{'sample_num': 3}"},
        {"load_col": "{'inter': ['user_id', 'item_id']}"},
        {"user_inter_num_interval": "[3,inf)"},
        {"files": ["cold_start_item"]},
    ],
)
def test_other_configuration_is_another_run(plan: Plan, change: dict[str, Any]) -> None:
    assert key(plan, **change) != key(plan)


def test_other_variant_is_another_run(plan: Plan) -> None:
    variants = [Variant("a", "BPR"), Variant("a", "Pop"), Variant("a", "BPR", {"embedding_size": "8"})]
    assert len({key(plan, variant) for variant in variants}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"state": "DEBUG"},
        {"show_progress": "False"},
        {"checkpoint_dir": "elsewhere"},
        {"save_per_user": "a.parquet"},
        {"save_learning_curve": "a.csv"},
        {"gpu_id": "1"},
        {"files": ["models.yaml"]},
        {"embedding_size": "64"},
    ],
)
def test_keys_without_effect_keep_the_run(plan: Plan, change: dict[str, Any]) -> None:
    Path("models.yaml").write_text("model_list: [Pop, BPR]\n", encoding="utf-8")
    assert key(plan, **change) == key(plan)


@pytest.mark.parametrize("file", ["tiny.inter", "tiny.item", "tiny.user", "tiny.new"])
def test_other_data_are_another_run(plan: Plan, tiny_folder: Path, file: str) -> None:
    before = key(plan)
    assert key(plan) == before
    with open(tiny_folder / "tiny" / file, "a", encoding="utf-8") as written:
        written.write("\n")
    assert key(plan) != before


def test_relative_data_path_is_the_same_run(plan: Plan, tiny_folder: Path) -> None:
    runs = [plan(data_path=path)[0][0] for path in (str(tiny_folder), os.path.relpath(tiny_folder))]
    assert runs[0].folder == runs[1].folder
    assert runs[1].specification["keys"]["data_path"] == str(tiny_folder)


def test_seeds_start_from_each_variant(plan: Plan, tiny_folder: Path) -> None:
    variants = [Variant("a", "BPR"), Variant("b", "BPR", {"seed": "7"})]
    keys = {"data_path": str(tiny_folder), "load_col": "None"}
    plan()
    runs = planning.plan(variants, "tiny", [], keys, lambda first: [first, first + 1], Path("out"), print)
    assert [(run.variant.name, run.seed) for run in runs] == [("a", 2020), ("a", 2021), ("b", 7), ("b", 8)]


def test_all_models_keep_all_interactions(plan: Plan) -> None:
    runs, _ = plan([Variant("a", "BPR"), Variant("b", "SiBraR"), Variant("c", "FM")])
    assert [run.configuration["filter_inter_by_user_or_item"] for run in runs] == [False] * 3
    runs, _ = plan([Variant("a", "BPR"), Variant("b", "SiBraR")], filter_inter_by_user_or_item="True")
    assert [run.configuration["filter_inter_by_user_or_item"] for run in runs] == [True] * 2


def test_no_user_results_of_value_metrics(plan: Plan) -> None:
    value = {"metrics": "['RMSE']", "valid_metric": "RMSE", "eval_args": "{'mode': 'labeled'}"}
    (run,), _ = plan([Variant("FM", "FM")], **value, train_neg_sample_args="None", label="rating")
    assert "save_per_user" not in run.specification["keys"]


def test_unread_keys_are_noted_once(plan: Plan) -> None:
    variants = [Variant("a", "BPR", {"stoping_step": "1"}), Variant("b", "SiBraR"), Variant("c", "SiBraR")]
    _, notes = plan(variants, [1, 2], colour="red", item_modalities="[text]", n_layers="2")
    assert [note.split(":")[:2] for note in sorted(notes)] == [
        ["warning", " a"],
        ["warning", " the key 'colour' has no effect"],
        ["warning", " the key 'n_layers' has no effect"],
    ]
    assert "did you mean 'stopping_step'?" in sorted(notes)[0]


@pytest.mark.parametrize(
    ("variant", "keys", "reason"),
    [
        (Variant("mine", "SiBraR", {"item_modalites": "[text]"}), {}, "mine: item_modalites: unknown key"),
        (Variant("mine", "BPR"), {"eval_candidates": "some"}, "mine: eval_candidates: found 'some'"),
        (Variant("mine", "BPR"), {"metrics": "Recal"}, "mine: .*There is no metric named 'Recal'"),
        (Variant("mine", "BPR"), {"dataset": "nowhere"}, "--dataset: there is no folder .*nowhere"),
    ],
)
def test_wrong_configuration_is_one_line(plan: Plan, variant: Variant, keys: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^{reason}[^\n]*$"):
        plan([variant], **keys)


@pytest.fixture
def fake(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Replaces the process of a run by a shell script, which has the folder of the run in ``$3``."""

    def install(script: str) -> None:
        file = tmp_path / "fake"
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        monkeypatch.setattr(execution.sys, "executable", str(file))

    return install


FINISH = """echo '{"test_result": {"recall@10": 0.1}, "best_valid_score": 0.2, "seconds": 1}' > "$3/result.json" """


@pytest.mark.slow
def test_only_failed_runs_are_repeated(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan([Variant("a", "BPR"), Variant("b", "Pop")], [1, 2])
    fake(f'echo "$3" >> started; case "$3" in */b-2-*) echo "some.where.BadError: no"; exit 1;; *) {FINISH};; esac')
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
def test_a_failure_says_why(plan: Plan, fake: Callable[[str], None], script: str, reason: str) -> None:
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
    for name in ("checkpoint/BPR-old-last.pth", "learning_curve.csv", "per_user.parquet", "log.txt"):
        (runs[0].folder / name).write_text("old", encoding="utf-8")
    fake(f'ls "$3/checkpoint" > seen; {FINISH}')
    assert execution.execute(runs, 1, notes.append) == []
    assert Path("seen").read_text() == "BPR-old-last.pth\n"
    assert (runs[0].folder / "learning_curve.csv").is_file()
    assert not (runs[0].folder / "per_user.parquet").exists()


def test_jobs_run_at_the_same_time(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan(seeds=[1, 2, 3, 4])
    wait = (
        "n=0; while [ $(ls started | wc -l) -lt 2 ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; [ $n -lt 100 ]"
    )
    Path("started").mkdir()
    fake(f'touch started/$$; {wait} && ls started | wc -l > "$3/jobs" && {FINISH}')
    assert execution.execute(runs[:2], 2, notes.append) == []
    assert notes == []


def test_one_command_at_a_time(plan: Plan, fake: Callable[[str], None]) -> None:
    runs, notes = plan()
    runs[0].folder.mkdir(parents=True)
    other = subprocess.Popen(["flock", str(runs[0].folder / "log.txt"), "sleep", "60"])
    try:
        wait_until((runs[0].folder / "log.txt").exists)
        time.sleep(0.2)
        fake(FINISH)
        assert execution.execute(runs, 1, notes.append) == runs
        assert "another command is running it" in notes[0]
    finally:
        other.kill()
        other.wait()


def test_ctrl_c_ends_all_processes(plan: Plan, fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_interrupted_command_gives_advice(
    fake: Callable[[str], None], tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(f'case "$3" in *BPR*) {FINISH};; *) kill -TERM $PPID; exec sleep 60;; esac')
    data = ["-d=tiny", f"--data_path={tiny_folder}", "--load_col=None"]
    assert cli.run_recbole_group(["-m=BPR,Pop", *data]) == cli.INTERRUPTED
    assert (
        "interrupted; 1 of 2 runs are finished, the same command continues with the others" in capsys.readouterr().err
    )
    assert not Path("comparison/results.csv").exists()


@pytest.mark.slow
def test_each_split_is_one_comparison(
    fake: Callable[[str], None], tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(FINISH)
    Path("by_user.yaml").write_text("eval_args: {split: {CS: [0.6, 0.2, 0.2]}, group_by: user}\n", encoding="utf-8")
    arguments = ["-m=BPR,Pop", "-d=tiny", f"--data_path={tiny_folder}", "--load_col=None", "--seeds=2", "--epochs=1"]
    assert cli.run_recbole_group([*arguments, "--splits=cold_start_item,by_user.yaml"]) == 0
    assert sorted(path.name for path in Path("comparison").iterdir()) == ["by_user", "cold_start_item"]
    for split, divided in (("cold_start_item", "item"), ("by_user", "user")):
        runs = list(Path("comparison", split, "runs").iterdir())
        assert len(runs) == 4
        assert all(
            yaml.safe_load((run / "config.yaml").read_text())["eval_args"]["group_by"] == divided for run in runs
        )
        summary = Path("comparison", split, "summary.md").read_text(encoding="utf-8")
        assert summary.startswith(f"tiny {split}")
        assert summary.splitlines()[0].endswith(" epochs=1")
    assert capsys.readouterr().out.count("written: comparison/") == 2


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command with wrong arguments, and return the one line that it ends with."""
    monkeypatch.setattr(sys, "argv", ["run_recbole_group"])
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        assert cli.run_recbole_group(arguments) == cli.WRONG_INPUT
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("run_recbole_group: error: ")
        return line.removeprefix("run_recbole_group: error: ")

    return run


def test_wrong_arguments_are_one_line(refused: Callable[..., str], tiny_folder: Path) -> None:
    Path("models.yaml").write_text("epochs: 3\n", encoding="utf-8")
    Path("wrong.yaml").write_text("model_list: 5\n", encoding="utf-8")
    Path("file").write_text("", encoding="utf-8")
    data = ("-d=tiny", f"--data_path={tiny_folder}", "--load_col=None")
    assert refused("-m", "BPR,sibrar").endswith("did you mean 'SiBraR'?")
    assert "found 'BPR' 2 times" in refused("-m", "BPR,BPR")
    assert "--model_list: found ''" in refused("--config_files=models.yaml")
    assert "--model_list: found 5" in refused("--config_files=wrong.yaml")
    assert refused("-m", "BPR", "--jobs=0") == "--jobs: found 0, allowed is a positive number of processes"
    assert refused("-m", "BPR", "--output=file").startswith("--output: cannot write to file: ")
    assert refused("-m", "BPR", "--output=file/x").startswith("--output: cannot write to file/x: ")
    assert refused("-m", "BPR", *data, "--seeds=0") == "--seeds: found '0', allowed is at least one seed"
    assert refused("-m", "BPR", *data, "--seeds=1,1") == "--seeds: found '1,1', allowed is each seed once"
    assert "no effect in this form" in refused("-m", "BPR", "--epochs", "5")
    assert "there is no folder" in refused("-m", "BPR", "-d", "nowhere")
    assert "item_modalites: unknown key" in refused("-m", "BPR,SiBraR", *data, "--item_modalites=[text]")
    assert "did you mean 'cold_start_item'?" in refused("-m", "BPR", "--config_files=cold_start_itm")
    assert "did you mean 'cold_start_item'?" in refused("-m", "BPR", "--splits=warm,cold_start_itm")
    assert "--splits: found 'warm,warm', allowed is different names" in refused(
        "-m", "BPR", *data, "--splits=warm,warm"
    )


def test_wrong_arguments_leave_no_files(refused: Callable[..., str], tiny_folder: Path) -> None:
    before = set(Path().iterdir())
    refused("-m", "BPR", "--seeds=x", "-d=tiny", f"--data_path={tiny_folder}", "--load_col=None")
    refused("-m", "Nothing")
    assert set(Path().iterdir()) == before
