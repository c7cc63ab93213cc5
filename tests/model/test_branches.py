from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_sibrar.config import ConfigError, EncoderConfig, encoder_config
from recbole_sibrar.model.branches import make_branches, n_parameters, narrowed_sizes
from recbole_sibrar.model.mubrar import MuBraR
from recbole_sibrar.model.sibrar import SiBraR


def counted(sizes: Sequence[int], batch_norm: str | int) -> int:
    """Weights and biases of each layer, and two numbers for each output that batch norm scales."""
    layers = list(pairwise(sizes))
    total = sum(a * b + b for a, b in layers)
    for i, (_, b) in enumerate(layers, 1):
        if batch_norm == "last":
            total += 2 * b if i == len(layers) else 0
        elif isinstance(batch_norm, int):
            total += 0 if i % batch_norm else 2 * b
    return total


def configured(**changes: Any) -> EncoderConfig:
    values: dict[str, Any] = {
        "modalities": "auto",
        "embedding_size": 5,
        "modality_size": 6,
        "projection_hidden_sizes": [],
        "normalize_interactions": True,
        "normalize_branch_input": False,
        "branch_hidden_sizes": [7],
        "dropout_prob": 0.0,
        "activation": "relu",
        "output_activation": False,
        "aggregation": "mean",
        "modality_sampling": False,
        "contrastive_scope": "sample",
        "contrastive_weight": 0.1,
        "temperature": 1.0,
    }

    class Settings(dict[str, Any]):
        def __missing__(self, key: str) -> None:
            return None

    return replace(encoder_config(Settings(values), "item"), **changes)


NORMS = st.one_of(st.sampled_from(["none", "last"]), st.integers(1, 4))
SIZES = st.lists(st.integers(1, 40), max_size=4)


@settings(deadline=None)
@given(SIZES, st.integers(1, 20), st.integers(1, 20), NORMS, st.integers(1, 6))
def test_branches_have_the_configured_size(
    hidden: list[int], d: int, k: int, norm: str | int, n: int
) -> None:
    config = configured(
        branch_hidden_sizes=tuple(hidden), modality_size=d, embedding_size=k, batch_norm=norm
    )
    one = counted([d, *hidden, k], norm)
    for single, expected in ((True, 1), (False, n)):
        branches = make_branches(config, n, single)
        assert len(branches) == expected
        assert sum(parameter.numel() for parameter in branches.parameters()) == expected * one


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(SIZES, st.integers(1, 20), st.integers(1, 20), NORMS, st.integers(2, 6))
def test_equal_branches_use_up_the_budget(
    hidden: list[int], d: int, k: int, norm: str | int, n: int
) -> None:
    """Whatever the width, layers keep their proportions, so one more unit in the widest would be too much."""
    config = configured(
        branch_hidden_sizes=tuple(hidden),
        modality_size=d,
        embedding_size=k,
        batch_norm=norm,
        branch_budget="total",
    )
    budget = counted([d, *hidden, k], norm)
    widths = range(1, max(hidden, default=0) + 1)
    shapes = [
        tuple(max(1, round(size * width / max(hidden))) for size in hidden) for width in widths
    ]
    fitting = [shape for shape in shapes if n * counted([d, *shape, k], norm) <= budget]
    if not fitting:
        with pytest.raises(
            ConfigError, match=r"branch_budget: found 'total', allowed is per_modality"
        ) as caught:
            make_branches(config, n, False)
        assert "\n" not in str(caught.value)
        return
    assert narrowed_sizes(config, n) == fitting[-1]
    branches = make_branches(config, n, False)
    assert len(branches) == n
    found = [sum(parameter.numel() for parameter in branch.parameters()) for branch in branches]
    assert found == [counted([d, *fitting[-1], k], norm)] * n
    assert sum(found) <= budget


def test_a_budget_worked_out_by_hand() -> None:
    """One branch 6-7-5 has 6*7+7 + 7*5+5 = 89 parameters; of two, 6-3-5 has 41 each, and 6-4-5 would have 53."""
    config = configured(branch_budget="total")
    assert n_parameters(config, [7]) == 89
    assert narrowed_sizes(config, 2) == (3,)
    assert n_parameters(config, [3]) == 41
    assert n_parameters(config, [4]) == 53


def test_layers_are_narrowed_equally() -> None:
    config = configured(branch_hidden_sizes=(512, 512, 256), modality_size=512, embedding_size=128)
    narrow = narrowed_sizes(config, 4)
    assert narrow[0] == narrow[1]
    assert abs(narrow[2] - narrow[0] / 2) <= 0.5


def test_counting_draws_no_random_numbers() -> None:
    config = configured(branch_budget="total")
    state = torch.get_rng_state()
    narrowed_sizes(config, 2)
    assert torch.equal(torch.get_rng_state(), state)
    for hidden, size in (((7,), 89), ((), 35)):
        (branch,) = make_branches(replace(config, branch_hidden_sizes=hidden), 1, False)
        assert sum(parameter.numel() for parameter in branch.parameters()) == size


def test_shared_branch_has_no_budget(make: Callable[..., Any]) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^branch_budget: found 'total', allowed is per_modality for a model whose",
    ):
        make(SiBraR, branch_budget="total")


def test_too_small_budget_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(
        ConfigError,
        match=r"branch_hidden_sizes, here \[\], cannot be narrowed so far that 2 branches",
    ):
        make(MuBraR, branch_budget="total", branch_hidden_sizes=[])
    with pytest.raises(
        ConfigError, match="branch_budget: found 'shared', allowed is one of per_modality, total"
    ):
        make(MuBraR, branch_budget="shared")


def test_the_budget_holds_for_each_side(make: Callable[..., Any]) -> None:
    """User: interactions and age. Item: interactions, group, labels, price and text."""
    wide = {"branch_hidden_sizes": [60], "item_branch_budget": "total"}
    model = make(MuBraR, **wide)
    user, item = (
        [sum(parameter.numel() for parameter in branch.parameters()) for branch in encoder.branches]
        for encoder in (model.user_encoder, model.item_encoder)
    )
    one = counted([6, 60, 5], "none")
    assert user == [one, one]
    assert len(item) == 5
    assert one - 5 * 12 < sum(item) <= one  # a unit more in each of the five costs 5 * (6 + 1 + 5)
