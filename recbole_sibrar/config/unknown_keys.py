"""Names of keys without a reader: misspelt, of other models, or of older releases of RecBole."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from recbole_sibrar.config.keys import MODEL_KEYS, own_keys
from recbole_sibrar.errors import ConfigError, nearest

MISSPELT = 0.85
"""Similarity above which an unknown key counts as a misspelt one: one wrong letter in ten, or two
swapped ones."""

_SAMPLING = "train_neg_sample_args: {distribution: uniform, sample_num: 1}"

RENAMED = {
    "neg_sampling": _SAMPLING,
    "training_neg_sample_num": _SAMPLING,
    "training_neg_sample_distribution": _SAMPLING,
    "eval_setting": "eval_args: {order: RO, split: {RS: [0.8, 0.1, 0.1]}, mode: full}",
    "split_ratio": "eval_args: {split: {RS: [0.8, 0.1, 0.1]}}",
    "leave_one_num": "eval_args: {split: {LS: valid_and_test}}",
    "group_by_user": "eval_args: {group_by: user}",
    "min_user_inter_num": "user_inter_num_interval: '[5,inf)'",
    "min_item_inter_num": "item_inter_num_interval: '[5,inf)'",
    "max_user_inter_num": "user_inter_num_interval: '[0,100]'",
    "max_item_inter_num": "item_inter_num_interval: '[0,100]'",
    "lowest_val": "val_interval: {rating: '[3,inf)'}",
    "highest_val": "val_interval: {rating: '[0,3]'}",
    "equal_val": "val_interval: {rating: '[3,3]'}",
}
"""Keys of RecBole before 1.1 -> today's form, with values as an example."""


def check_keys(
    given: Iterable[str],
    known: Collection[str],
    strict: bool = True,
    general: Iterable[str] = (),
    elsewhere: Collection[str] = (),
    model: str = "the model",
) -> dict[str, str]:
    """Check the names of the user's keys.

    Args:
        given: The keys.
        known: Keys of RecBole and its model.
        strict: True for a model of ours: our keys have an effect, and a misspelt one is an error.
        general: Keys of ours for every model; a misspelt one is always an error.
        elsewhere: Keys of other models, which are never misspelt ones.
        model: Name of the model, for messages.

    Returns:
        Key -> a warning, for each key without effect.

    Raises:
        ConfigError: A key is unknown and looks like a misspelt one of ours.
    """
    own = own_keys() if strict else ()
    read = {*own, *known}
    of_model = [key for key in MODEL_KEYS if strict and key in read]
    ours = (*own, *general, *of_model)
    of_models = {*elsewhere, *own_keys(), *MODEL_KEYS}

    warnings: dict[str, str] = {}
    for key in given:
        if key in read:
            continue

        # before the search for misspelt keys: keys of two models can be alike
        if key in of_models:
            reason = f"{model} does not read it, other models do"
            warnings[key] = f"the key '{key}' has no effect: {reason}"
            continue

        misspelt = nearest(key, ours, MISSPELT)
        if misspelt:
            raise ConfigError(f"{key}: unknown key{misspelt}")

        hint = nearest(key, read)
        if key in RENAMED:
            hint = f"; today it is written {RENAMED[key]}"
        reason = f"neither RecBole nor {model} reads it{hint}"
        warnings[key] = f"the key '{key}' has no effect: {reason}"
    return warnings
