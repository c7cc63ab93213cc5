"""Keys that another key leaves without effect, in real runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from recbole_sibrar.config.idle_keys import idle_keys
from recbole_sibrar.config.keys import KEYS
from recbole_sibrar.names import SIDES

Make = Callable[..., Any]

IDLE = [
    ("distillation_l2", 10.0, {}),
    ("distillation_temperature", 0.5, {"negatives": "all"}),
    ("warm_start_weights", {"text": 2.0}, {}),
    ("warm_start_rarity", 1.0, {}),
    ("warm_start_new_items", 2.0, {}),
    ("drawn_modalities", "any", {"modality_sampling": False}),
    ("item_drawn_per", "entity", {"item_modality_sampling": False}),
    ("temperature", 0.3, {"contrastive": "none"}),
    ("user_contrastive_weight", 0.3, {"user_contrastive": "none"}),
    ("central_modality", "text", {"contrastive": "pairwise"}),
]


@pytest.mark.parametrize(("key", "value", "others"), IDLE)
@pytest.mark.parametrize("model", ["SiBraR", "MuBraR"])
def test_idle_keys_are_told(
    make_config: Make,
    caplog: pytest.LogCaptureFixture,
    model: str,
    key: str,
    value: Any,
    others: Any,
) -> None:
    make_config(model, **{key: value, **others})
    assert f"the key '{key}' has no effect without" in caplog.text


def test_options_of_a_part_need_it() -> None:
    # keys of the teacher and of the start, those of later versions included
    config = defaultdict(lambda: None, {"distillation_weight": 0.0, "warm_start": "none"})
    names = {key.name for key in KEYS if key.name.startswith(("distillation_", "warm_start_"))}
    names.remove("distillation_weight")
    assert len(names) > 5
    assert set(idle_keys(config, dict.fromkeys(names, 7.0), {})) == names


@pytest.mark.parametrize(
    "keys",
    [
        {"distillation_l2": 10.0, "distillation_weight": 0.5, "negatives": "all"},
        {"temperature": 0.3, "item_contrastive": "none"},
        {"drawn_per": "entity", f"{SIDES[0]}_modality_sampling": False},
        {"contrastive": "none", "temperature": 0.1},
    ],
)
def test_others_are_not(
    make_config: Make, caplog: pytest.LogCaptureFixture, keys: dict[str, Any]
) -> None:
    make_config("SiBraR", **keys)
    assert "no effect" not in caplog.text
