"""Models trained on data with hidden values: settings, table, figure and command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar import cli
from recbole_sibrar.config import ConfigError
from recbole_sibrar.studies.incomplete.plots import incomplete_curves
from recbole_sibrar.studies.incomplete.settings import Setting, read_plan
from recbole_sibrar.studies.incomplete.tables import markdown, pivoted


def test_every_way_at_every_rate() -> None:
    plan = read_plan("0.5,0", "mean,none", None)
    assert [(setting.way, setting.rate) for setting in plan.settings] == [
        ("mean", 0.0),
        ("mean", 0.5),
        ("none", 0.0),
        ("none", 0.5),
    ]


def test_keys_of_a_setting() -> None:
    assert Setting(0.25, "zero").keys == {"hide_values": "0.25", "impute": "zero"}
    assert Setting(0.25, "none", ("a", "b")).keys["hide_values"] == "{a: 0.25, b: 0.25}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1", "none", None), "--rates: found '1', allowed is numbers from 0 to below 1"),
        (("a", "none", None), "--rates: found 'a', allowed is numbers"),
        (
            ("0", "nearest", None),
            "--imputations: found 'nearest', allowed is any of none, zero, mean, neighbors",
        ),
        (("0", "none", "text,,a"), "--fields: found 'text,,a', allowed is names"),
    ],
)
def test_wrong_options(arguments: tuple[str, str, str | None], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_plan(*arguments)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Two ways, two rates, two seeds; the way ``mean`` lacks a rate."""
    rows = [
        ("SiBraR", "none", 0.0, 1, 0.30),
        ("SiBraR", "none", 0.0, 2, 0.32),
        ("SiBraR", "none", 0.5, 1, 0.20),
        ("SiBraR", "mean", 0.5, 1, 0.25),
    ]
    return pd.DataFrame(rows, columns=["model", "impute", "rate", "seed", "ndcg@10"])


def test_table_of_means(frame: pd.DataFrame) -> None:
    table = pivoted(frame, "ndcg@10")
    assert table.to_numpy().tolist() == [
        ["SiBraR", "none", f"0.3100 ± {np.std([0.30, 0.32], ddof=1):.4f}", "0.2000"],
        ["SiBraR", "mean", "-", "0.2500"],
    ]
    assert markdown(frame, "ndcg@10").splitlines()[2] == "| model | impute | 0 | 0.5 |"


def test_figure_has_a_line_for_each_way(frame: pd.DataFrame) -> None:
    axes = incomplete_curves(frame, "ndcg@10").axes[0]
    handles, labels = axes.get_legend_handles_labels()
    assert labels == ["none", "mean"]
    line = handles[0].lines[0]
    assert line.get_xdata().tolist() == [0, 0.5]
    assert line.get_ydata().tolist() == pytest.approx([0.31, 0.2])


def write_data(folder: Path) -> None:
    """Six groups of items, which the genres and the text of an item tell; users like one group."""
    rng = np.random.default_rng(0)
    groups = np.arange(120) % 6
    centres = rng.normal(size=(6, 4))
    (folder / "small").mkdir(parents=True)
    pairs = [(user, item) for user in range(30) for item in range(120) if groups[item] == user % 6]
    lines = "".join(f"u{user}\ti{item}\n" for user, item in pairs)
    (folder / "small" / "small.inter").write_text(f"user_id:token\titem_id:token\n{lines}")
    items = ["item_id:token\tgenre:token\ttext:float_seq"]
    for item, group in enumerate(groups):
        vector = " ".join(f"{number:.4f}" for number in centres[group])
        items.append(f"i{item}\tg{group}\t{vector}")
    (folder / "small" / "small.item").write_text("\n".join(items) + "\n")


@pytest.mark.slow
@pytest.mark.processes
def test_command_writes_table_and_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path / "dataset")
    monkeypatch.chdir(tmp_path)
    options = [
        "--model_list=ContentKNN:k=3",
        "--dataset=small",
        "--config_files=cold_start_item",
        "--rates=0,0.9",
    ]
    arguments = [
        "incomplete",
        *options,
        "--imputations=none,zero",
        "--fields=text,genre",
        "--topk=[2]",
    ]
    arguments += ["--valid_metric=NDCG@2", "--data_path=dataset"]
    assert cli.main(arguments) == 0
    assert "| ContentKNN:k=3 | none |" in capsys.readouterr().out

    found = pd.read_csv("incomplete/incomplete.csv")
    assert list(found["impute"]) == ["none", "none", "zero", "zero"]
    assert list(found["rate"]) == [0, 0.9, 0, 0.9]
    whole, hidden = found["ndcg@2"][:2]
    assert whole > hidden
    assert found["ndcg@2"][2] == whole  # nothing to fill in
    for name in ("incomplete.md", "incomplete.png", "incomplete.pdf"):
        assert (tmp_path / "incomplete" / name).stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--hide_values=0.5"],
            "hide_values: cannot be given here, as --rates and --fields of the study set it",
        ),
        (
            ["--model_list=SiBraR:impute=mean"],
            "impute: cannot be given here, as --imputations of the study set it",
        ),
        (["--metric=ndcg@11"], "--metric: found 'ndcg@11', allowed is any of"),
        (["--jobs=0"], "--jobs: found 0, allowed is a positive number of processes"),
    ],
)
def test_command_refuses_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["incomplete", *arguments]) == cli.WRONG_INPUT
    assert message in capsys.readouterr().err
    assert not (tmp_path / "incomplete").exists()
