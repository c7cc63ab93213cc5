"""Modality tables with values hidden before training, and with missing values filled in."""

from recbole_sibrar.model.incomplete.hide import hide_values
from recbole_sibrar.model.incomplete.impute import impute_values
from recbole_sibrar.model.incomplete.tables import incomplete_tables

__all__ = ["hide_values", "impute_values", "incomplete_tables"]
