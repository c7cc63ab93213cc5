"""Names of keys: which there are, and what to say about one that nobody reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields

from recbole_sibrar.config.encoder import PARSERS, EncoderConfig
from recbole_sibrar.config.values import ConfigError, nearest

MODEL_KEYS = ("preference_size", "preference_dropout_prob", "replacement_prob", "score_temperature")
"""Keys of ours that a single model reads."""

OTHER_KEYS = frozenset(
    {
        *("model", "model_list", "dataset", "config_files", "config_file", "resume", "encoding", "tail_ratio"),
        *("discretization", "wandb_project", "local_rank", "world_size", "nproc", "ip", "port", "offset"),
    }
)
"""Keys that RecBole or the plugin reads though no file of defaults names them."""

MISSPELT = 0.85
"""Similarity from which on an unknown key counts as a misspelt one: one wrong letter in ten, or two swapped ones."""

RENAMED = {
    "neg_sampling": "train_neg_sample_args: {distribution: uniform, sample_num: 1}",
    "training_neg_sample_num": "train_neg_sample_args: {distribution: uniform, sample_num: 1}",
    "training_neg_sample_distribution": "train_neg_sample_args: {distribution: uniform, sample_num: 1}",
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
"""Keys of RecBole before 1.1 -> the form of today, with values as an example."""


def own_keys() -> tuple[str, ...]:
    """Every key that our models read, with and without prefix."""
    shared = [field.name for field in fields(EncoderConfig) if field.name in PARSERS]
    return (*(f"{prefix}{name}" for prefix in ("", "user_", "item_") for name in shared), "embedding_size", "loss_type")


def check_keys(
    given: Iterable[str],
    known: Collection[str],
    strict: bool = True,
    general: Iterable[str] = (),
    elsewhere: Collection[str] = (),
    model: str = "the model",
) -> dict[str, str]:
    """Check the names of the keys that a user gave.

    Args:
        given: The keys.
        known: The keys that RecBole and its model read.
        strict: Whether the model is ours, so that our keys have an effect and a misspelt one is an error.
        general: Keys of ours that hold for every model, so that a misspelt one is always an error.
        elsewhere: Keys that other models read, whatever they resemble.
        model: Name of the model, for messages.

    Returns:
        Key -> a warning, for each key that nobody reads.

    Raises:
        ConfigError: A key is unknown and looks like a misspelt one of ours.
    """
    own = own_keys() if strict else ()
    read = {*own, *known}
    ours = (*own, *general, *(key for key in MODEL_KEYS if strict and key in read))
    of_models = {*elsewhere, *own_keys(), *MODEL_KEYS}

    warnings: dict[str, str] = {}
    for key in given:
        if key in read:
            continue

        if key in of_models:
            warnings[key] = f"the key '{key}' has no effect: {model} does not read it, other models do"
            continue

        if nearest(key, ours, MISSPELT):
            raise ConfigError(f"{key}: unknown key{nearest(key, ours, MISSPELT)}")

        hint = f"; today it is written {RENAMED[key]}" if key in RENAMED else nearest(key, read)
        warnings[key] = f"the key '{key}' has no effect: neither RecBole nor {model} reads it{hint}"
    return warnings
