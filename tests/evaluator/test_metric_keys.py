"""Wrong keys of the metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError

Build = Callable[..., tuple[Any, ...]]


@pytest.mark.parametrize(
    ("settings", "error", "pieces"),
    [
        ({"metrics": ["ILD"]}, ConfigError, ["ild_modality", "found None", "ILD needs"]),
        (
            {"metrics": ["UserCalibration"]},
            ConfigError,
            ["calibration_field", "found None", "UserCalibration needs"],
        ),
        (
            {"metrics": ["ILD"], "ild_modality": "txt"},
            DataError,
            ["ild_modality", "'txt'", "did you mean 'text'?"],
        ),
        (
            {"metrics": ["ILD"], "ild_modality": "price"},
            DataError,
            ["'price'", "type float", "kind, tags, text"],
        ),
        (
            {"metrics": ["ILD"], "ild_modality": "gender"},
            DataError,
            ["'gender'", "not there", "tiny.item"],
        ),
        (
            {
                "metrics": ["ILD", "UserCalibration"],
                "ild_modality": "text",
                "calibration_field": "text",
            },
            DataError,
            ["calibration_field", "'text'", "type float_seq", "kind, tags"],
        ),
        (
            {"metrics": ["APLT"], "long_tail_ratio": 1.5},
            ConfigError,
            ["long_tail_ratio", "1.5", "0"],
        ),
        (
            {"metrics": ["UserCalibration"], "calibration_field": "tags", "calibration_alpha": 0},
            ConfigError,
            ["calibration_alpha", "0", "above 0"],
        ),
    ],
)
def test_wrong_keys_fail_before_training(
    make_model: Build, settings: dict[str, Any], error: type[Exception], pieces: list[str]
) -> None:
    with pytest.raises(error) as caught:
        make_model(model="BPR", valid_metric=f"{settings['metrics'][0]}@10", **settings)
    text = str(caught.value)
    assert "\n" not in text
    assert all(piece in text for piece in pieces), text
