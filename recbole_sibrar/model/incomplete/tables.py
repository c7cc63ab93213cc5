"""Modality tables of a model, with the values hidden and filled in by its configuration."""

from __future__ import annotations

from recbole_sibrar.config import ConfigError, nearest, read_key, refuse
from recbole_sibrar.config.values import ByField, WeightByField
from recbole_sibrar.data.modality import ModalityTable, TrainingData
from recbole_sibrar.model.incomplete.hide import hide_values
from recbole_sibrar.model.incomplete.impute import impute_values
from recbole_sibrar.names import ID, RESERVED_NAMES, SIDES, Side
from recbole_sibrar.protocols import FullConfig


def incomplete_tables(
    config: FullConfig, dataset: TrainingData, model: str
) -> dict[Side, dict[str, ModalityTable]]:
    """Collect the modalities of both sides as a model sees them.

    ``hide_values`` first hides values, as if the data had been without them, and ``impute`` then
    fills in all missing ones.

    Args:
        config: RecBole's ``Config``.
        dataset: Training part of the data.
        model: Name of the model, for messages.

    Raises:
        ConfigError: A key has a value that is not allowed, or the name of an unknown field.
    """
    if not hasattr(dataset, "modality_tables"):
        raise ConfigError(
            f"model {model}: found a {type(dataset).__name__}, allowed is a MultimodalDataset; "
            "make it with recbole.data.create_dataset(config)"
        )
    tables = {side: dataset.modality_tables(side) for side in SIDES}
    rates: WeightByField = read_key(config, "hide_values")
    ways: ByField = read_key(config, "impute")

    # A field is one of users or of items: both are asked before a name is refused.
    names = [*_fields(tables["user"]), *_fields(tables["item"])]
    _check("hide_values", list(rates.fields), names)
    _check("impute", list(dict(ways.fields)), names)

    for side in SIDES:
        _hide(tables[side], rates, dataset, side, config["seed"])
        _impute(tables[side], ways)
    return tables


def _fields(tables: dict[str, ModalityTable]) -> list[str]:
    """Names of the modalities that are fields of a file: neither ``id`` nor ``interactions``."""
    return [name for name in tables if name not in RESERVED_NAMES]


def _check(key: str, given: list[str], allowed: list[str]) -> None:
    for name in given:
        if name not in allowed:
            known = ", ".join(allowed) or "no field, as there is none"
            refuse(key, name, f"any of {known}{nearest(name, allowed)}")


def _tokens(dataset: TrainingData, side: Side) -> list[str]:
    """Original ids of the entities of a side."""
    field = dataset.uid_field if side == "user" else dataset.iid_field
    return [str(token) for token in dataset.field2id_token[field]]


def _hide(
    tables: dict[str, ModalityTable],
    rates: WeightByField,
    dataset: TrainingData,
    side: Side,
    seed: int,
) -> None:
    """Hide values of the fields of a side, in place."""
    for name in _fields(tables):
        rate = rates.of(name)
        if rate:
            tables[name] = hide_values(tables[name], rate, _tokens(dataset, side), seed)


def _impute(tables: dict[str, ModalityTable], ways: ByField) -> None:
    """Fill in missing values of the fields of a side, in place."""
    # A copy with the values known before: neighbours are not found by values that were filled in.
    fields = {name: tables[name] for name in _fields(tables)}
    for name in fields:
        if ways.of(name) != "none":
            tables[name] = impute_values(fields, name, ways.of(name), tables[ID].available)
