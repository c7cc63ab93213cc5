from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from report_page import Reader
from scipy import stats

from recbole_sibrar import cli
from recbole_sibrar.names import MODELS
from recbole_sibrar.plotting import chart_file
from recbole_sibrar.plotting.colours import model_colours
from recbole_sibrar.report import build as report
from recbole_sibrar.report import figure_files

STRANGE = "<b>A & $B$</b>"


@pytest.fixture
def page(comparison: Path) -> Reader:
    return Reader(report.run(comparison)[0])


def test_the_page_loads_nothing(page: Reader) -> None:
    assert len(page.attributes) > 100
    for tag, attributes in page.attributes:
        for name in ("src", "href", "srcset", "data", "action"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), (tag, name, target)
    (policy,) = [x["content"] for tag, x in page.attributes if tag == "meta" and "http-equiv" in x]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_identifiers_and_links(page: Reader) -> None:
    identifiers = [str(x["id"]) for _, x in page.attributes if "id" in x]
    assert len(set(identifiers)) == len(identifiers)
    links = [str(x["href"]).removeprefix("#") for tag, x in page.attributes if tag == "a"]
    references = [
        str(x[name]) for _, x in page.attributes for name in ("for", "aria-labelledby") if name in x
    ]
    assert len(links) > 5
    assert {*links, *references} <= set(identifiers)


def test_numbers_are_those_of_the_results(page: Reader, comparison: Path) -> None:
    results = pd.read_csv(comparison / "results.csv")
    head, *rows = page.rows["p0-table-runs"]
    columns = {
        "Validation": "valid_score",
        "nDCG@10": "ndcg@10",
        "Gini@10\n(less is better)": "gini@10",
    }
    for title, column in columns.items():
        shown = [float(row[head.index(title)]) for row in rows]
        assert shown == pytest.approx(results[column].tolist(), abs=5e-5)
    _, sibrar, strange, pop = page.rows["p0-table-results"]
    assert sibrar[1] == "0.3300* ± 0.0283 (significantly better than every other)"
    assert strange[0] == STRANGE
    assert strange[1] == "0.1500 ± 0.0707 (second)"
    assert pop[1] == "0.0600 ± 0.0141"
    ginis = [row[2] for row in page.rows["p0-table-results"][1:]]  # smaller is better
    assert ginis == ["0.6700 ± 0.0283 (best)", "0.8500 ± 0.0707 (second)", "0.9400 ± 0.0141"]


def test_the_lead_says_what_was_learnt(page: Reader) -> None:
    assert "SiBraR has the best nDCG@10 (0.3300) and is first in 2 of 2 metrics." in page.text
    assert (
        f"It is 120 % above {STRANGE}, a significant difference (p = 0.001, corrected), and ahead in 2 of 2 seeds."
        in page.text
    )
    assert re.search(r"Chance\s*0.1000, with all modalities missing\.", page.text)
    assert "text alone keeps most: 83 % of the nDCG@10." in page.text  # 0.25 of 0.3


def test_the_lead_names_the_studied_model(comparison: Path) -> None:
    results = pd.read_csv(comparison / "results.csv")
    results.loc[results["name"] == "Pop", "ndcg@10"] = 0.5
    results.to_csv(comparison / "results.csv", index=False)
    text = Reader(report.run(comparison)[0]).text
    assert "Pop has the best nDCG@10 (0.5000)" in text
    assert "Of the modalities of SiBraR, text alone keeps most: 83 % of the nDCG@10." in text
    assert "text is missed most: without it, 27 % of the nDCG@10 is lost." in text  # 0.22 of 0.3


def test_a_study_of_fewer_runs_says_so(comparison: Path) -> None:
    note = "The study has 1 of the 2 runs of these models"
    file = comparison / "missing" / "missing.csv"
    assert Reader(report.run(comparison)[0]).text.count(note) == 1  # that of the gap
    missing = pd.read_csv(file)
    missing[missing["checkpoint"] == missing["checkpoint"][0]].to_csv(file, index=False)
    assert Reader(report.run(comparison)[0]).text.count(note) == 3


def test_the_lead_says_that_none_is_missed(comparison: Path) -> None:
    file = comparison / "missing" / "missing.csv"
    missing = pd.read_csv(file)
    missing.loc[missing["experiment"] == "subset", "ndcg@10"] = 0.3
    missing.to_csv(file, index=False)
    text = Reader(report.run(comparison)[0]).text
    assert "None is missed: without any one of them, the nDCG@10 is as high." in text


def test_intervals_are_corrected(page: Reader, comparison: Path) -> None:
    rows = pd.read_csv(comparison / "significance.csv")
    head, *shown = page.rows["p0-table-significance"]
    intervals = [row[head.index("Difference, 95 %\n(corrected)")].split(" to ") for row in shown]
    for row, (low, high) in zip(rows.to_dict("records"), intervals, strict=True):
        error = (row["high"] - row["low"]) / 2 / stats.t(59).ppf(0.975)
        middle = (row["high"] + row["low"]) / 2
        expected = stats.t(59, middle, error).interval(1 - 0.05 / 3)
        assert [float(low), float(high)] == pytest.approx(list(expected), abs=1e-4)


def test_names_are_never_markup(page: Reader) -> None:
    assert not [
        tag for tag, x in page.attributes if tag in ("b", "m") or (tag == "i" and "class" not in x)
    ]
    assert page.text.count(STRANGE) >= 8
    assert f"Of {STRANGE}." in page.text  # the legend, whose Markdown escapes are gone
    titles = [row[1] for row in page.rows["page-table-differing"][-3:]]
    assert titles == ["<i>SiBraR</i>", f"<i>{STRANGE}</i>", "<i>Pop</i>"]


def test_configuration_differences(page: Reader) -> None:
    head, *differing = page.rows["page-table-differing"]
    assert head == ["Key", "Value", "Models"]
    assert differing[0] == ["model", "SiBraR", f"SiBraR, {STRANGE}"]
    assert [row[0] for row in differing] == ["model", "model", "title", "title", "title"]
    assert page.rows["page-table-shared"][1:] == [
        *[["dataset", "tiny"], ["epochs", "3"], ["sizes", "[1, 2]"], ["valid_metric", "NDCG@10"]],
    ]
    assert page.rows["page-table-packages"][1:] == [["torch", "2.13.0"], ["numpy", "1.26.4"]]


def test_empty_sections_explain_themselves(comparison: Path) -> None:
    for path in (
        *comparison.glob("runs/*/learning_curve.csv"),
        *comparison.glob("runs/*/environment.json"),
    ):
        path.unlink()
    for folder in ("missing", "gap"):
        shutil.rmtree(comparison / folder)
    (comparison / "significance.csv").unlink()
    results = pd.read_csv(comparison / "results.csv")
    results[[name for name in results if "[" not in name]].to_csv(
        comparison / "results.csv", index=False
    )
    text = Reader(report.run(comparison)[0]).text
    for hint in (
        "save_per_user",
        "eval_groups",
        "learning_curve.csv",
        "report --missing",
        "report --gap",
        "environment.json",
    ):
        assert re.search(rf"Not available:[^.]*{re.escape(hint)}", text), hint


def test_several_splits_share_a_page(comparison: Path) -> None:
    parent = comparison.parent / "splits"
    for name in ("warm", "cold"):
        shutil.copytree(comparison, parent / name)
    page = Reader(report.run(parent)[0])
    assert {"p0-table-results", "p1-table-results"} <= set(page.rows)
    assert [name for name in page.rows if "packages" in name] == ["page-table-packages"]
    assert [
        "model",
        "SiBraR",
        f"cold: SiBraR, cold: {STRANGE}, warm: SiBraR, warm: {STRANGE}",
    ] in page.rows["page-table-differing"]
    identifiers = [str(x["id"]) for _, x in page.attributes if "id" in x]
    assert len(set(identifiers)) == len(identifiers)

    labels = [str(x["aria-labelledby"]) for _, x in page.attributes if "aria-labelledby" in x]
    assert len(set(labels)) == len(labels)
    assert {part for label in labels for part in label.split()} <= set(identifiers)
    regions = [x.get("aria-label") for _, x in page.attributes if x.get("role") == "region"]
    named = [name for name in regions if name]
    assert len(set(named)) == len(named) > 0


def test_earlier_runs_are_not_shown(comparison: Path) -> None:
    (current,) = comparison.glob("runs/Pop-1-*")
    earlier = current.with_name("Pop-1-" + "0" * 11 + "a")
    shutil.copytree(current, earlier)
    result = json.loads((earlier / "result.json").read_text(encoding="utf-8"))
    result["test_result"]["ndcg@10"] = 0.9
    (earlier / "result.json").write_text(json.dumps(result), encoding="utf-8")
    folders = [row[-1] for row in Reader(report.run(comparison)[0]).rows["p0-table-runs"]]
    assert f"runs/{current.name}" in folders
    assert f"runs/{earlier.name}" not in folders


def test_runs_without_a_result_are_named(comparison: Path) -> None:
    (comparison / "runs" / "BPR-1-ffffffffffff").mkdir()
    text = Reader(report.run(comparison)[0]).text
    assert "Without a result: BPR-1-ffffffffffff." in text
    assert "6 of 7" in text


@pytest.mark.slow
def test_every_figure_is_a_pdf_and_a_png(
    comparison: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    draw = chart_file.draw
    monkeypatch.setattr(chart_file, "draw", lambda chart: drawn.append(draw(chart)) or drawn[-1])
    for study in ("gap", "missing"):
        shutil.rmtree(comparison / study)
    monkeypatch.setattr(figure_files, "_CHARTS_PER_PROCESS", 100)  # this process counts the figures
    folder = tmp_path / "figures"
    page, n_figures = report.run(comparison, tmp_path / "pages" / "a.html", folder)
    assert page.is_file()
    begins = {
        path.name: path.read_bytes()[:4] for path in folder.iterdir() if path.suffix != ".json"
    }
    n_charts = len(Reader(page).figures) + 2  # cost and significance have two each
    assert len(begins) == 2 * n_figures == 2 * len(drawn) == 2 * n_charts
    assert {begin for name, begin in begins.items() if name.endswith(".pdf")} == {b"%PDF"}
    assert {begin for name, begin in begins.items() if name.endswith(".png")} == {b"\x89PNG"}
    results = drawn[0].axes[0]
    assert [x.lines[0].get_xdata()[0] for x in results.containers] == pytest.approx(
        [0.33, 0.15, 0.06]
    )
    assert [label.get_text() for label in results.get_yticklabels()] == ["SiBraR", STRANGE, "Pop"]


@pytest.mark.slow
@pytest.mark.processes
def test_only_changed_figures_are_drawn(
    comparison: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure_files, "_CHARTS_PER_PROCESS", 1)
    folder = tmp_path / "figures"
    _, n_figures = report.run(comparison, figures=folder)
    assert n_figures == len(list(folder.glob("*.pdf"))) == len(list(folder.glob("*.png")))
    assert report.run(comparison, figures=folder)[1] == 0

    (folder / "curve-train_loss.png").unlink()
    gap = pd.read_csv(comparison / "gap" / "gap.csv")
    gap.assign(value=0.45).to_csv(comparison / "gap" / "gap.csv", index=False)
    assert report.run(comparison, figures=folder)[1] == 2


def test_figures_are_drawn_on_request(comparison: Path) -> None:
    before = set(comparison.parent.rglob("*"))
    page, n_figures = report.run(comparison)
    assert set(comparison.parent.rglob("*")) - before == {page}
    assert n_figures == 0


def _no_folder(folder: Path) -> Path:
    return folder / "nowhere"


def _not_finished(folder: Path) -> Path:
    (folder / "results.csv").unlink()
    return folder


def _no_comparison(folder: Path) -> Path:
    return folder / "missing"


def _inner(folder: Path) -> Path:
    return folder / "runs"


def _broken(folder: Path) -> Path:
    (folder / "results.csv").write_text("name,model\nA,B\n", encoding="utf-8")
    return folder


def _broken_study(folder: Path) -> Path:
    (folder / "missing" / "missing.csv").write_text("model,checkpoint\nA,B\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_no_folder, "there is no folder"),
        (_not_finished, "has runs but no results.csv; start its run_recbole_group command again"),
        (_no_comparison, "holds no comparison"),
        (_inner, "meant is"),
        (_broken, "found the columns name, model and 1 rows"),
        (_broken_study, "missing.csv: no column side, experiment"),
    ],
)
def test_wrong_folder_leaves_no_page(
    comparison: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], Path],
    message: str,
) -> None:
    output = comparison.parent / "page.html"
    assert cli.main(["report", str(spoil(comparison)), "--output", str(output)]) == cli.WRONG_INPUT
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.count("\n") == 0
    assert not output.exists()


@pytest.mark.parametrize("option", ["missing", "gap"])
def test_a_study_needs_a_checkpoint(
    comparison: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    shutil.rmtree(comparison / option)
    assert cli.main(["report", str(comparison), f"--{option}"]) == cli.WRONG_INPUT
    assert f"--{option}: {comparison} has no checkpoint of a model" in capsys.readouterr().err


def test_failed_page_leaves_the_old_one(
    comparison: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = comparison / "report.html"
    page.write_text("earlier", encoding="utf-8")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(report, "save_changed", fail)
    assert (
        cli.main(["report", str(comparison), "--figures", str(comparison / "figures")])
        == cli.WRONG_INPUT
    )
    assert f"cannot write the page or a figure: disk full ({page})" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "earlier"


def test_colours_stand_out_in_both_themes() -> None:
    style = (Path(report.__file__).parents[1] / "report" / "assets" / "theme.css").read_text(
        encoding="utf-8"
    )
    names = {
        name: pair
        for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)
    }
    classes = {f"{model} {i}": model for model in (*MODELS, "BPR") for i in range(5)}
    names |= {f"series {name}": [x.light, x.dark] for name, x in model_colours(classes).items()}

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for theme in (0, 1):
        for name, least in [
            ("text", 7),
            ("muted", 4.5),
            ("accent", 4.5),
            *((name, 3) for name in names if "series" in name),
        ]:
            for ground in ("surface", "row"):
                light, dark = sorted(
                    (luminance(names[x][theme]) + 0.05 for x in (name, ground)), reverse=True
                )
                assert light / dark >= least, (name, ground, theme)


def test_a_name_of_digits_stays_as_it_is(comparison: Path) -> None:
    for name, before, after in (
        ("results.csv", "\nPop,", "\n007,"),
        ("significance.csv", ",Pop,", ",007,"),
    ):
        text = (comparison / name).read_text(encoding="utf-8")
        (comparison / name).write_text(text.replace(before, after), encoding="utf-8")
    for run in comparison.glob("runs/Pop-*"):
        run.rename(run.with_name(run.name.replace("Pop", "007")))
    page = Reader(report.run(comparison)[0])
    assert [row[0] for row in page.rows["p0-table-results"][1:]] == ["SiBraR", STRANGE, "007"]
    assert [row[-1].split("-")[0] for row in page.rows["p0-table-runs"][-2:]] == ["runs/007"] * 2
    assert [row[2] for row in page.rows["p0-table-significance"][1:]] == [STRANGE, "007", "007"]


def test_epochs_count_like_the_log(comparison: Path) -> None:
    for path in comparison.glob("runs/*/learning_curve.csv"):
        curve = pd.read_csv(path)
        curve["epoch"] = [1, 3, 5]  # validated after every second epoch
        curve.to_csv(path, index=False)
    page = Reader(report.run(comparison)[0])
    places = [[round(x) for x, _ in points] for _, points in page.lines["curve-train_loss"]]
    assert places == [[1, 3, 5]] * 6
    head, *rows = page.rows["p0-table-runs"]
    assert {row[head.index("Epochs\ntrained")] for row in rows} == {"6"}
