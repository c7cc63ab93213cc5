"""From a training to recommendations of new items on ml-100k, through the commands alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recbole.quick_start import load_data_and_model

from recbole_sibrar.serving import Recommender

K = 10

pytestmark = [pytest.mark.slow, pytest.mark.processes]


@pytest.fixture(scope="module", params=["cold_start_item", "cold_start_item cold_start_sibrar"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a checkpoint of a short training in item cold start, and its portable model."""
    folder = tmp_path_factory.mktemp("loop")
    program = "import sys; from recbole_sibrar.cli import run_recbole; sys.exit(run_recbole())"
    options = ["--model=SiBraR", "--dataset=ml-100k", f"--config_files={request.param}"]
    short = ["--epochs=2", "--show_progress=False", "--tensorboard=none", "--checkpoint_dir=saved"]
    command = [sys.executable, "-c", program, *options, *short, "--export=films.sibrar"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_ndcg_is_that_of_the_run(home: Path) -> None:
    """Items with equal fields have equal scores, which the evaluation of RecBole orders arbitrarily.

    The result of the run lies between those of the best and of the worst order, to four digits.
    """
    (checkpoint,) = (home / "saved").glob("*.pth")
    dataset = load_data_and_model(str(checkpoint))[-1].dataset
    users = dataset.id2token("user_id", np.asarray(dataset.inter_feat["user_id"]))
    items = dataset.id2token("item_id", np.asarray(dataset.inter_feat["item_id"]))

    # the lines of the held-out items, with ids that the model does not know
    file = Path(dataset.dataset_path) / "ml-100k.item"
    lines = pd.read_csv(file, sep="\t", dtype=str).rename(columns=lambda name: name.split(":")[0])
    lines = lines[lines["item_id"].isin(set(items))]
    lines["item_id"] = "new-" + lines["item_id"]

    model = Recommender.load(home / "films.sibrar")
    assert set(model.add_items(lines)["status"]) == {"added"}
    found = model.recommend(sorted(set(users)), k=len(lines), candidates=lines["item_id"])
    relevant = set(zip(users, items, strict=True))
    found["is_relevant"] = [
        pair in relevant
        for pair in zip(found["user"], found["item"].str.removeprefix("new-"), strict=True)
    ]

    known = model.recommend(sorted(set(users)), k=len(lines), candidates=sorted(set(items)))
    known["item"] = "new-" + known["item"]
    both = found.merge(known, on=["user", "item"], validate="one_to_one")
    assert len(both) == len(found)
    np.testing.assert_allclose(both["score_x"], both["score_y"], atol=1e-5)

    reported = model.manifest.metrics["test"][f"ndcg@{K}"]
    worst, best = (mean_ndcg(found, relevant_first) for relevant_first in (False, True))
    assert reported > 0.05
    assert best - worst < 0.005
    assert worst - 5e-5 <= reported <= best + 5e-5


def mean_ndcg(found: pd.DataFrame, relevant_first: bool) -> float:
    """Mean nDCG of all users, with the formula of Järvelin and Kekäläinen for binary relevance.

    Args:
        found: All candidates of each user.
        relevant_first: Put the relevant ones of equal scores first; else last.
    """
    order = found.sort_values(
        ["user", "score", "is_relevant"], ascending=[True, False, not relevant_first]
    )
    discounts = 1 / np.log2(np.arange(2, K + 2))
    values = []
    for _, row in order.groupby("user")["is_relevant"]:
        gains = row.to_numpy()[:K]
        values.append(gains @ discounts / discounts[: min(row.sum(), K)].sum())
    return float(np.mean(values))
