"""The metrics as users get them, from RecBole's trainer, against loops over the scores of the model."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils import get_trainer, init_seed
from scipy.stats import entropy
from sklearn.metrics import f1_score
from sklearn.metrics.pairwise import cosine_distances

from recbole_sibrar.config import ConfigError
from recbole_sibrar.evaluator.evaluation_state import evaluation_state

Build = Callable[..., tuple[Any, ...]]

OURS = [
    "Coverage",
    "Gini",
    "ARP",
    "APLT",
    "ACLT",
    "PL",
    "PopREO",
    "PopRSP",
    "Novelty",
    "ILD",
    "UserCalibration",
    "F1",
]
RECBOLES = [
    "Recall",
    "MRR",
    "NDCG",
    "Hit",
    "Precision",
    "MAP",
    "AveragePopularity",
    "ItemCoverage",
    "GiniIndex",
    "TailPercentage",
]
OF_POPULARITY = ["ARP", "APLT", "ACLT", "PL", "PopREO", "PopRSP", "Novelty"]
TOPK = (3, 10, 25)
EVALUATION: dict[str, Any] = {
    "metrics": OURS,
    "topk": list(TOPK),
    "valid_metric": "Coverage@10",
    "metric_decimal_place": 10,
    "ild_modality": "text",
    "calibration_field": "tags",
    "eval_batch_size": 300,
}


def split(name: str, group_by: str | None = None, mode: str = "full") -> dict[str, Any]:
    ratios = {"RS": [0.7, 0.1, 0.2], "CS": [0.5, 0.2, 0.3]}[name]
    return {"split": {name: ratios}, "group_by": group_by, "order": "RO", "mode": mode}


def evaluate(config: Any, model: Any, loader: Any) -> dict[str, float]:
    init_seed(7, True)  # a sampled evaluation draws the same candidates again
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return dict(trainer.evaluate(loader, load_best_model=False))


class Reference:
    """What an evaluation has to find, by its definition: loops over dictionaries and sets."""

    def __init__(self, built: tuple[Any, ...], folder: Path, loader: Any = None) -> None:
        self.config, self.model, train, valid, test = built
        self.loader = loader or test
        self.train = _by_user(train)
        self.popularity = Counter(item for items in self.train.values() for item in items)
        self.positives = _by_user(self.loader)
        self.n_items = test._dataset.item_num
        self.seen = {
            user: self.train.get(user, set()) | _by_user(valid).get(user, set())
            for user in self.positives
        }
        self.by_split = (
            self.config["eval_candidates"] == "split" or "CS" in self.config["eval_args"]["split"]
        )
        self.by_split &= self.config["eval_candidates"] != "all"
        held_out = set().union(*self.positives.values())
        self.pool = held_out if self.by_split else set(range(1, self.n_items))
        self.cold_items = self.config["eval_args"]["group_by"] in ("item", "both")
        self.cold_items &= "CS" in self.config["eval_args"]["split"]
        self.tokens = test._dataset.field2id_token["item_id"]
        lines = [
            line.split("\t")
            for line in (folder / "tiny" / "tiny.item").read_text().splitlines()[1:]
        ]
        self.tags = {row[0]: set(row[2].split()) for row in lines}
        self.vectors = {row[0]: [float(x) for x in row[4].split()] for row in lines if row[4]}
        distances = cosine_distances(list(self.vectors.values()))
        self.distances = {
            (a, b): distances[i, j]
            for i, a in enumerate(self.vectors)
            for j, b in enumerate(self.vectors)
        }
        self._rank()

    def _rank(self) -> None:
        users = torch.tensor(sorted(self.positives))
        with torch.no_grad():
            scores = self.model.eval().full_sort_predict(Interaction({"user_id": users}))
        scores = scores.view(len(users), -1).tolist()
        self.candidates: dict[int, set[int]] = {}
        if self.config["eval_args"]["mode"]["test"] == "full":
            for user in self.positives:
                self.candidates[user] = self.pool - (self.seen[user] - self.positives[user])
        else:
            init_seed(7, True)
            for batch in self.loader:
                for user, item in zip(
                    batch[0]["user_id"].tolist(), batch[0]["item_id"].tolist(), strict=True
                ):
                    self.candidates.setdefault(user, set()).add(item)
        self.ranking = {
            user: sorted(self.candidates[user], key=lambda item: -row[item])
            for user, row in zip(users.tolist(), scores, strict=True)
        }

    def known(self, item: int) -> bool:
        return self.popularity[item] > 0 or not self.cold_items

    def tail(self) -> dict[int, bool]:
        """Whether an item is in the tail, for items of known popularity."""
        trained = sorted(self.popularity, key=lambda item: (self.popularity[item], item))
        head = trained[len(trained) * 8 // 10 :]
        return {item: item not in head for item in range(1, self.n_items) if self.known(item)}

    def of_users(self, k: int) -> dict[str, dict[int, float]]:
        """The value of each user for the metrics that are means over users."""
        tail, n_train = self.tail(), len(self.train)
        values: dict[str, dict[int, float]] = {
            name: {} for name in ["ARP", "APLT", "ACLT", "Novelty", "ILD", "F1"]
        }
        values["UserCalibration"] = {}
        for user, ranking in self.ranking.items():
            row = ranking[:k]
            known = [item for item in row if self.known(item)]
            had = [self.popularity[item] for item in row if self.popularity[item]]
            values["ARP"][user] = mean(self.popularity[item] for item in known)
            values["APLT"][user] = mean(tail[item] for item in known)
            values["ACLT"][user] = sum(tail[item] for item in known) if known else math.nan
            values["Novelty"][user] = mean(-math.log2(n / n_train) for n in had)
            vectors = [token for token in self.tokens[row] if token in self.vectors]
            values["ILD"][user] = mean(self.distances[pair] for pair in combinations(vectors, 2))
            hits = len(set(row) & self.positives[user])
            precision, recall = hits / k, hits / len(self.positives[user])
            values["F1"][user] = 2 * precision * recall / (precision + recall) if hits else 0
            profile, found = self.genres(self.train.get(user, set())), self.genres(row)
            smooth = {
                genre: 0.99 * found.get(genre, 0) + 0.01 * share for genre, share in profile.items()
            }
            divergence = (
                entropy(list(profile.values()), list(smooth.values()))
                if profile and found
                else math.nan
            )
            # SciPy normalises, but there may be other genres
            lacking = math.log(sum(smooth.values())) if smooth else 0
            values["UserCalibration"][user] = divergence - lacking
        return values

    def genres(self, items: Any) -> dict[str, float]:
        counts: Counter[str] = Counter()
        for token in self.tokens[sorted(items)]:
            for tag in self.tags.get(token, ()):
                counts[tag] += 1 / len(self.tags[token])
        return {tag: count / sum(counts.values()) for tag, count in counts.items()}

    def result(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for k in TOPK:
            lists = {user: ranking[:k] for user, ranking in self.ranking.items()}
            shown = Counter(item for row in lists.values() for item in row)
            counts = [shown[item] for item in self.pool]
            per_user = {
                name: mean(x for x in of.values() if x == x)
                for name, of in self.of_users(k).items()
            }
            per_user["Coverage"] = len(shown) / len(self.pool)
            difference = fmean(abs(a - b) for a in counts for b in counts)
            per_user["Gini"] = difference / (2 * fmean(counts))
            per_user["PL"] = self.lift(lists)
            per_user["PopREO"] = self.disparity(
                {u: set(row) & self.positives[u] for u, row in lists.items()}, self.positives
            )
            per_user["PopRSP"] = self.disparity(lists, self.candidates)
            found.update({f"{name.lower()}@{k}": value for name, value in per_user.items()})
        return found

    def lift(self, lists: dict[int, list[int]]) -> float:
        both = []
        for user, row in lists.items():
            known = [self.popularity[item] for item in row if self.known(item)]
            if known and user in self.train:
                both.append(
                    (fmean(known), fmean(self.popularity[item] for item in self.train[user]))
                )
        after, before = mean(x for x, _ in both), mean(y for _, y in both)
        return (after - before) / before

    def disparity(self, got: dict[int, Any], could: dict[int, Any]) -> float:
        tail, rates = self.tail(), []
        for half in (True, False):
            possible = sum(tail.get(item) is half for row in could.values() for item in row)
            if not possible:
                return math.nan
            rates.append(
                sum(tail.get(item) is half for row in got.values() for item in row) / possible
            )
        return pstdev(rates) / fmean(rates) if any(rates) else math.nan


def _by_user(loader: Any) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    table = loader._dataset.inter_feat
    for user, item in zip(table["user_id"].tolist(), table["item_id"].tolist(), strict=True):
        found.setdefault(user, set()).add(item)
    return found


def mean(values: Any) -> float:
    values = [float(value) for value in values]
    return fmean(values) if values else math.nan


CASES = {
    "warm": {"eval_args": split("RS", "user")},
    "warm, items of the test": {"eval_args": split("RS", "user"), "eval_candidates": "split"},
    "warm, sampled": {"eval_args": split("RS", "user", "uni20")},
    "cold items": {"eval_args": split("CS", "item")},
    "cold items among all": {"eval_args": split("CS", "item"), "eval_candidates": "all"},
    "cold items, sampled": {"eval_args": split("CS", "item", "uni5")},
    "cold users": {"eval_args": split("CS", "user")},
    "cold users among all": {"eval_args": split("CS", "user"), "eval_candidates": "all"},
    "cold users, sampled among all": {
        "eval_args": split("CS", "user", "uni20"),
        "eval_candidates": "all",
    },
    "both cold": {"eval_args": split("CS", "both")},
    "both cold among all": {"eval_args": split("CS", "both"), "eval_candidates": "all"},
}


@pytest.mark.parametrize("case", CASES)
def test_metrics_follow_from_the_scores(make_model: Build, tiny_folder: Path, case: str) -> None:
    built = make_model(model="BPR", **EVALUATION, **CASES[case])
    config, model, *_, test = built
    reference = Reference(built, tiny_folder)
    result = evaluate(config, model, test)
    assert set(result) == {f"{name.lower()}@{k}" for name in OURS for k in TOPK}
    assert result == pytest.approx(reference.result(), nan_ok=True, abs=1e-6)
    undefined = {key.split("@")[0] for key, value in result.items() if math.isnan(value)}
    if "cold" not in case:
        assert not undefined
    elif "users" in case:
        assert {"pl", "usercalibration"} <= undefined <= {"pl", "usercalibration", "popreo"}
    elif "all" not in case:
        assert {name.lower() for name in OF_POPULARITY} <= undefined


@pytest.mark.parametrize("case", ["warm", "cold items", "both cold among all"])
def test_our_model_has_equal_definitions(make_model: Build, tiny_folder: Path, case: str) -> None:
    built = make_model(**EVALUATION, **CASES[case])
    result = evaluate(built[0], built[1], built[-1])
    assert result == pytest.approx(Reference(built, tiny_folder).result(), nan_ok=True, abs=1e-6)


def test_validation_has_its_own_candidates(make_model: Build, tiny_folder: Path) -> None:
    built = make_model(model="BPR", **EVALUATION, eval_args=split("CS", "item"))
    config, model, _, valid, _ = built
    expected = Reference(built, tiny_folder, valid).result()
    assert evaluate(config, model, valid) == pytest.approx(expected, nan_ok=True, abs=1e-6)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.9])
def test_long_tail_ratio_moves_the_border(make_model: Build, ratio: float) -> None:
    _, _, train, _, test = make_model(model="BPR", **EVALUATION, long_tail_ratio=ratio)
    counts = Counter(train._dataset.inter_feat["item_id"].tolist())
    knowledge = evaluation_state(test).knowledge
    head = set(np.flatnonzero(knowledge.tail == 0).tolist())
    assert len(head) == len(counts) - int(len(counts) * ratio)
    assert min(counts[item] for item in head) >= max(
        n for item, n in counts.items() if item not in head
    )
    assert np.flatnonzero(np.isnan(knowledge.tail)).tolist() == [0]


def test_results_equal_recbole(make_model: Build) -> None:
    names = ["AveragePopularity", "ARP", "TailPercentage", "APLT", "Precision", "Recall", "F1"]
    config, model, *_, test = make_model(
        model="BPR", **{**EVALUATION, "metrics": names}, tail_ratio=0.8
    )
    result = evaluate(config, model, test)
    for k in TOPK[:2]:  # no list is shorter than 10
        assert result[f"arp@{k}"] == pytest.approx(result[f"averagepopularity@{k}"])
        assert result[f"aplt@{k}"] == pytest.approx(result[f"tailpercentage@{k}"])


@pytest.mark.parametrize("case", ["warm", "cold items"])
def test_f1_equals_scikit_learn(make_model: Build, tiny_folder: Path, case: str) -> None:
    built = make_model(
        model="BPR", **{**EVALUATION, "metrics": ["F1"], "valid_metric": "F1@3"}, **CASES[case]
    )
    reference, result = Reference(built, tiny_folder), evaluate(built[0], built[1], built[-1])
    for k in (3, 25):
        values = []
        for user, ranking in reference.ranking.items():
            # places that stay empty are wrong, as for Precision
            nothing = list(range(-max(k - len(ranking), 0), 0))
            shown, items = {*ranking[:k], *nothing}, [*range(1, reference.n_items), *nothing]
            truth = [item in reference.positives[user] for item in items]
            values.append(f1_score(truth, [item in shown for item in items]))
        assert result[f"f1@{k}"] == pytest.approx(fmean(values))


def test_our_metrics_leave_recboles_alone(make_model: Build) -> None:
    for case in ("warm", "cold items", "warm, sampled"):
        settings = {**EVALUATION, "valid_metric": "MRR@10", **CASES[case]}
        alone, together = (
            make_model(model="BPR", **{**settings, "metrics": names})
            for names in (RECBOLES, [*OURS, *RECBOLES])
        )
        expected = evaluate(alone[0], alone[1], alone[-1])
        found = evaluate(together[0], together[1], together[-1])
        assert expected.items() <= found.items()
        assert len(found) == len(TOPK) * (len(OURS) + len(RECBOLES))


def test_metrics_in_lower_case(make_model: Build) -> None:
    config, model, *_, test = make_model(
        model="BPR", metrics=["arp", "COVERAGE"], valid_metric="arp@5", topk=5
    )
    assert set(evaluate(config, model, test)) == {"arp@5", "coverage@5"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "bigger"), [("Coverage@10", True), ("ARP@10", False), ("ild@10", True)]
)
def test_early_stopping_by_any_metric(make_model: Build, metric: str, bigger: bool) -> None:
    config, model, train, valid, _ = make_model(**{**EVALUATION, "valid_metric": metric})
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    best, result = trainer.fit(train, valid, saved=False, show_progress=False)
    assert config["valid_metric_bigger"] is bigger
    assert best == result[metric.lower()]
    assert not math.isnan(best)


def test_undefined_metric_is_explained_once(
    make_model: Build, caplog: pytest.LogCaptureFixture
) -> None:
    config, model, train, valid, test = make_model(**EVALUATION, eval_args=split("CS", "item"))
    caplog.set_level(logging.INFO)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train, valid, saved=False, show_progress=False)
    result = trainer.evaluate(test, load_best_model=False)
    assert all(math.isnan(result[f"{name.lower()}@{k}"]) for name in OF_POPULARITY for k in TOPK)
    lines = [record.getMessage() for record in caplog.records if "undefined" in record.getMessage()]
    for name in OF_POPULARITY:
        (line,) = [line for line in lines if f" {name.lower()}@3" in line]
        assert "\n" not in line
    assert (
        sum(
            "popularity of every recommended item is unknown" in line and "arp@3" in line
            for line in lines
        )
        == 1
    )


@pytest.mark.parametrize("metric", ["ARP@10", "pl@3", "PopREO@10"])
def test_undefined_metric_cannot_validate(make_model: Build, metric: str) -> None:
    settings = {**EVALUATION, "valid_metric": metric, "eval_args": split("CS", "item")}
    config, model, train, valid, _ = make_model(**settings)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    with pytest.raises(
        ConfigError, match=rf"^valid_metric: found {metric.lower()}, which is undefined .*$"
    ):
        trainer.fit(train, valid, saved=False, show_progress=False)
