"""Fields of the interactions for other keys, in addition to the default ``load_col``.

RecBole loads ``user_id`` and ``item_id`` by default. It fails in the middle of its work if the ids
have other names, or if an order by time, a threshold or a filter needs a field that is not loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from recbole.data.dataset import Dataset
from recbole.utils import EvaluatorType, FeatureSource, InputType, ModelType

from recbole_sibrar.config.values import is_given
from recbole_sibrar.data.atomic import AtomicFile, Field, names_of, read_header
from recbole_sibrar.errors import DataError, listed, nearest, refuse
from recbole_sibrar.protocols import DatasetLike, FullConfig

INTER = FeatureSource.INTERACTION.value

_ID_KEYS = {
    "user_id": "USER_ID_FIELD",
    "item_id": "ITEM_ID_FIELD",
    "head_id": "HEAD_ENTITY_ID_FIELD",
    "tail_id": "TAIL_ENTITY_ID_FIELD",
    "relation_id": "RELATION_ID_FIELD",
    "entity_id": "ENTITY_ID_FIELD",
}
"""Name of ids in RecBole's default ``load_col`` -> key with their name."""


@dataclass(frozen=True)
class Need:
    """A field of the interactions needed by a key."""

    field: str
    """Name of the field."""
    key: str
    """The key with its value, for messages."""
    required: bool = True
    """True if RecBole fails without the field."""


def has_own_load_col(config: FullConfig) -> bool:
    """Tell if the user has chosen the columns.

    Otherwise they are those of RecBole's defaults or of the data set's configuration.
    """
    return is_given(config, "load_col")


def get_load_and_unload_col(
    original: Callable[..., Any],
    dataset: Dataset,
    source: FeatureSource | str,
) -> tuple[set[str] | None, set[str] | None]:
    """Read ``load_col`` and ``unload_col`` for a file.

    A default ``load_col`` also gets the fields of other keys.

    Args:
        original: RecBole's ``Dataset._get_load_and_unload_col``.
        dataset: The data set being loaded.
        source: Kind of the file.

    Raises:
        ConfigError: ``load_col`` names no columns of the interactions.
    """
    config = dataset.config
    _check_form(config)
    load, unload = original(dataset, source)
    if load is None or has_own_load_col(config):
        return load, unload
    if source in (config["additional_feat_suffix"] or ()):
        return load | _of_additional_files(config), unload

    load = {_configured_name(config, name) for name in load}
    if _suffix(source) == INTER:
        load |= {dataset.uid_field, dataset.iid_field}
        load |= {need.field for need in needs(dataset)}
        # a key without a value names no field
        load -= {None, ""}
    return load, unload


def _configured_name(config: FullConfig, name: str) -> str:
    """Return the configured name of ids that RecBole's default ``load_col`` calls by its own."""
    if name not in _ID_KEYS:
        return name
    return config[_ID_KEYS[name]] or name


def _suffix(source: FeatureSource | str) -> str:
    return source.value if isinstance(source, FeatureSource) else source


def _check_form(config: FullConfig) -> None:
    """Check that ``load_col`` names columns of the interactions."""
    load_col = config["load_col"]
    if load_col is None:
        return

    example = f"{{{INTER}: [{config['USER_ID_FIELD']}, {config['ITEM_ID_FIELD']}]}}"
    if not isinstance(load_col, dict):
        allowed = f"a dictionary of suffixes and fields, such as {example}"
        refuse("load_col", load_col, allowed)
    if not load_col.get(INTER):
        allowed = f"a list for '{INTER}' as well, such as {example}, or '*' for all fields"
        refuse("load_col", load_col, allowed)


def needs(dataset: Dataset) -> list[Need]:
    """List the fields of the interactions for the keys of a configuration, without the ids."""
    config = dataset.config
    found = [*_of_time(config), *_of_labels(config)]
    if config["model"] == "DMF" and config["inter_matrix_type"] == "rating":
        found.append(Need(config["RATING_FIELD"], "inter_matrix_type: rating (RATING_FIELD)"))

    threshold = config["threshold"]
    if isinstance(threshold, dict):
        found += [Need(field, f"threshold: {threshold}") for field in threshold]

    # A data set's own normalize_field may name fields that no key loads: those are not normalised.
    keys = ["val_interval", "numerical_features"]
    if is_given(config, "normalize_field"):
        keys.insert(1, "normalize_field")

    # these keys may name fields of any file; without them, no header is read
    if any(config[key] for key in keys):
        elsewhere = _fields_of_other_files(dataset)
        for key in keys:
            names = config[key] or ()
            found += [Need(field, key) for field in names if field not in elsewhere]
    return found


def _of_time(config: FullConfig) -> Iterator[Need]:
    """Need of the time, for an order or a split by time; none if the parts are files."""
    field = config["TIME_FIELD"]
    arguments = config["eval_args"] or {}
    if config["model"] in ("DiffRec", "LDiffRec") and config["time-aware"]:
        yield Need(field, "time-aware: True (TIME_FIELD)")
    if config["benchmark_filename"] is not None:
        return

    split = arguments.get("split")
    if arguments.get("order") == "TO":
        yield Need(field, "eval_args: order: TO (TIME_FIELD)")
    elif isinstance(split, dict) and "TS" in split:
        yield Need(field, "eval_args: split: TS (TIME_FIELD)")
    elif config["MODEL_TYPE"] is ModelType.SEQUENTIAL:
        yield Need(field, f"the sequential model {config['model']} (TIME_FIELD)")


def _of_labels(config: FullConfig) -> Iterator[Need]:
    """Need of labels; none if a threshold makes them from another field.

    A label field named by the user has to exist. For the default name, training and evaluation
    check at their beginning whether there have to be labels (``evaluator/requirements.py``).
    """
    if config["threshold"] is not None:
        return

    field = config["LABEL_FIELD"]
    mode = (config["eval_args"] or {}).get("mode")
    named = is_given(config, "LABEL_FIELD")
    modes = mode.values() if isinstance(mode, dict) else [mode]
    is_pointwise = config["MODEL_INPUT_TYPE"] is InputType.POINTWISE

    if "labeled" in modes and config["eval_type"] is EvaluatorType.VALUE:
        yield Need(field, "eval_args: mode: labeled (LABEL_FIELD)", named)
    # RecBole labels positives and drawn negatives itself
    elif is_pointwise and not _draws_negatives(config["train_neg_sample_args"]):
        yield Need(field, "training without train_neg_sample_args (LABEL_FIELD)", named)


def _draws_negatives(arguments: object) -> bool:
    """Tell if ``train_neg_sample_args`` asks for negatives."""
    if not isinstance(arguments, dict):
        return False
    values = (arguments.get("distribution"), arguments.get("sample_num"))
    return "none" not in values


def _of_additional_files(config: FullConfig) -> set[str]:
    """List the fields in keys about additional files; RecBole fails without them."""
    names: set[str] = set()
    for side in ("user", "item"):
        names.update(config[f"alias_of_{side}_id"] or ())

    weights = config["preload_weight"]
    if isinstance(weights, dict):
        names.update(weights, weights.values())
    return names


def _fields_of_other_files(dataset: Dataset) -> set[str]:
    """List the loaded fields of the data set's other files."""
    names: set[str] = set()
    additional = dataset.config["additional_feat_suffix"] or ()
    for suffix in ("user", "item", "kg", "net", *additional):
        load, unload = dataset._get_load_and_unload_col(suffix)
        fields = set(names_of(header_of(dataset, suffix)))
        kept = fields if load is None else fields & load
        names |= kept - (unload or set())
    return names


def header_of(dataset: DatasetLike, suffix: str) -> list[Field]:
    """Read the header of a file; empty if it is unreadable, since loading it will say so.

    Interactions that are divided into files have the fields of the first file.
    """
    name = f"{dataset.dataset_name}.{suffix}"
    parts = dataset.config["benchmark_filename"]
    if parts and suffix == INTER:
        name = f"{dataset.dataset_name}.{parts[0]}.{suffix}"
    path = os.path.join(dataset.dataset_path, name)
    separator = dataset.config["field_separator"]
    encoding = dataset.config["encoding"]
    try:
        return read_header(path, separator, encoding)
    except (DataError, LookupError):
        return []


def check_interactions(dataset: Dataset, file: AtomicFile, loaded: list[Field]) -> None:
    """Check that the ids and the fields of other keys are loaded from a file of interactions.

    Args:
        dataset: The data set being loaded.
        file: The file.
        loaded: The loaded fields.

    Raises:
        DataError: A field is missing; the message names the key that needs it.
    """
    ids = {dataset.uid_field: "USER_ID_FIELD", dataset.iid_field: "ITEM_ID_FIELD"}
    types = {field.name: field.type for field in loaded}

    for name, key in ids.items():
        if name is None:
            continue
        _check_loaded(dataset, file, types, Need(name, key))
        if types[name] != "token":
            found = f"the type {types[name]} for '{name}' ({key})"
            raise DataError(f"{file.path}: found {found}, allowed is token")

    for need in needs(dataset):
        if need.required:
            _check_loaded(dataset, file, types, need)


def _check_loaded(dataset: Dataset, file: AtomicFile, loaded: Iterable[str], need: Need) -> None:
    if need.field in loaded:
        return

    names = names_of(file.header)
    if need.field in names:
        load, unload = dataset._get_load_and_unload_col(FeatureSource.INTERACTION)
        key, found, advice = "unload_col", unload, "remove it"
        if load is not None:
            key, found, advice = "load_col", load, "add it"
        needed = f"{need.key} needs the field '{need.field}' of {file.path}"
        raise DataError(f"{key}: found {sorted(found or ())} for {INTER}, but {needed}; {advice}")

    similar = names
    if need.key in _ID_KEYS.values():
        similar = names_of(file.header, "token")
    hint = nearest(str(need.field), similar) or _place_of(dataset, need)
    raise DataError(
        f"{file.path} has no field '{need.field}', which {need.key} needs; its fields are "
        f"{', '.join(names)}{hint}"
    )


def _place_of(dataset: Dataset, need: Need) -> str:
    """Suggest a remedy."""
    if need.key in _ID_KEYS.values():
        return f"; set {need.key} to the field that holds the ids"
    for suffix in ("item", "user"):
        if need.field in names_of(header_of(dataset, suffix)):
            return f"; the .{suffix} file has one, which load_col: {{{suffix}: [...]}} would load"
    return ""


def log_fields(dataset: Dataset) -> None:
    """Log the fields loaded for other keys, and those of ``load_col`` that do not exist."""
    config = dataset.config
    if config["load_col"] is None:
        return

    named = config["load_col"][INTER]
    if named == "*":
        return
    if has_own_load_col(config):
        _warn_about_unknown(dataset, named)
        return

    for need in needs(dataset):
        if need.field in dataset.inter_feat and need.field not in named:
            dataset.logger.info(
                f"load_col: '{need.field}' of the interactions is loaded as well, for {need.key}"
            )


def _warn_about_unknown(dataset: Dataset, named: Iterable[str]) -> None:
    """Warn about fields of ``load_col`` that do not exist; RecBole ignores them."""
    known = names_of(header_of(dataset, INTER)) or list(dataset.inter_feat)
    for name in named:
        if name not in known:
            has = f"the interactions have {listed(known, str(name))}"
            dataset.logger.warning(f"load_col: there is no field '{name}' for {INTER}; {has}")
