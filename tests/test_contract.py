"""The contract of a model, for every model of ours and some of RecBole's."""

from __future__ import annotations

import pytest
from contract import MODELS, ModelContract, expected, two_processes

__all__ = ["TestContract", "expected", "two_processes"]


@pytest.mark.parametrize("model", MODELS)
class TestContract(ModelContract):
    """The whole contract."""
