from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hyperopt.pyll.stochastic import sample
from recbole.trainer import HyperTuning
from scipy import stats

from recbole_sibrar import OWN_MODELS
from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.hyper import space as spaces
from recbole_sibrar.quick_start.hyper.space import read_space
from recbole_sibrar.quick_start.hyper.suggestions import SeedState, Suggestions, has_no_progress


def write(folder: Path, text: str) -> Path:
    file = folder / "a.hyper"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.slow
@pytest.mark.parametrize("model", OWN_MODELS)
def test_shipped_files_give_trainable_models(model: str, make_model: Callable[..., Any]) -> None:
    space = read_space(spaces.find_file(None, model))
    for parameter in space.parameters:
        for value in parameter.ends():
            if parameter.name == "rank":  # the data are too small for it
                continue
            config, network, train, *_ = make_model(model=model, **{parameter.name: value})
            assert config[parameter.name] == value
            network.train()
            losses = network.calculate_loss(next(iter(train)))
            parts = losses if isinstance(losses, tuple) else (losses,)
            assert all(math.isfinite(part.item()) for part in parts)
    known = spaces.check_names(space, model, [parameter.name for parameter in space.parameters], [])
    assert known == []


@pytest.mark.parametrize("model", OWN_MODELS)
def test_recbole_reads_equal_distributions(model: str) -> None:
    file = spaces.find_file(None, model)
    theirs, ours = HyperTuning._build_space_from_file(str(file)), read_space(file)
    assert list(theirs) == [parameter.name for parameter in ours.parameters]
    for parameter in ours.parameters:
        drawn = sample(theirs[parameter.name], SeedState(5))
        own = parameter.value(sample(parameter.node(), SeedState(5)))
        assert own == drawn if isinstance(own, str) else own == pytest.approx(drawn, rel=1e-5)


def test_loguniform_is_uniform_in_logarithms(tmp_path: Path) -> None:
    space = read_space(write(tmp_path, "rate loguniform -9.21,-4.61\nsize quniform 8,64,8\n"))
    suggestions = Suggestions(space, "random", 3, [], lambda trial: 0.0)
    found = [space.values(suggestions.ask(number) or {}) for number in range(400)]
    logarithms = np.log([values["rate"] for values in found])
    assert stats.kstest(logarithms, stats.uniform(-9.21, 4.6).cdf).pvalue > 0.01
    sizes = [values["size"] for values in found]
    assert set(sizes) == set(range(8, 65, 8))
    assert all(type(size) is int for size in sizes)


def test_choices_are_lists_or_words(tmp_path: Path) -> None:
    text = "# what is searched and how\na choice [[interactions, text], [id]]\n\nb choice ['[8]', 1e-3, None]\n"
    first, second = read_space(write(tmp_path, text)).parameters
    assert first.ends() == (["interactions", "text"], ["id"])
    assert second.ends() == ("[8]", 0.001, None)


def test_exhaustive_suggests_each_once(tmp_path: Path) -> None:
    space = read_space(write(tmp_path, "a choice [1,2,3]\nb choice ['x','y']\n"))

    def combinations(seed: int) -> list[tuple[Any, ...]]:
        suggestions = Suggestions(space, "exhaustive", seed, [], lambda trial: 0.0)
        assert suggestions.ask(6) is None
        return [tuple(space.values(suggestions.ask(number) or {}).values()) for number in range(6)]

    assert sorted(combinations(1)) == [(a, b) for a in (1, 2, 3) for b in "xy"]
    assert combinations(1) == combinations(1) != combinations(2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rate loguniform", "line 2: found 'rate loguniform', allowed is NAME followed by"),
        (
            "rate logunifrom -3,-1",
            "line 2: found 'logunifrom', allowed is one of .* did you mean 'loguniform'",
        ),
        ("rate uniform 3,1", "line 2: found '3,1', allowed is a first number below the second"),
        ("rate uniform a,1", "line 2: found 'a,1', allowed is numbers"),
        ("rate uniform 1,2,3", "line 2: found '1,2,3', allowed is 2 finite numbers"),
        ("rate quniform 1,2,0", "line 2: found '1,2,0', allowed is a step above 0"),
        ("rate loguniform 1,1000", "line 2: .* natural logarithms up to 700"),
        ("rate choice 3", "line 2: found '3', allowed is rate choice"),
        ("rate choice [1, 1]", "line 2: .* each choice once"),
        ("first choice [1]", "line 2: found 'first', allowed is each key once"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_space(write(tmp_path, f"first choice [1]\n{line}\n"))
    assert str(caught.value).startswith(str(tmp_path / "a.hyper"))


def test_progress_counts_from_the_best() -> None:
    assert not has_no_progress([], 1)
    assert not has_no_progress([3.0, 1.0, 2.0], 2)
    assert has_no_progress([3.0, 1.0, 2.0, 1.0], 2)
    assert not has_no_progress([1.0] * 50, 0)
    assert has_no_progress([math.inf] * 3, 2)
