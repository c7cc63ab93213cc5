"""Models of a comparison, with names and keys of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from recbole_sibrar.errors import ConfigError, nearest, refuse

__all__ = ["Variant", "file_name", "parse_seeds", "parse_variants"]

_OPENING = "[{("
_CLOSING = "]})"


@dataclass(frozen=True)
class Variant:
    """A model of a comparison."""

    name: str
    """Name in tables and files."""
    model: str
    """Name of the model."""
    keys: dict[str, str] = field(default_factory=dict)
    """Keys of this model only, with values as on a command line."""


def parse_variants(text: str | Sequence[str], models: Sequence[str]) -> list[Variant]:
    """Read a list of models.

    An element is ``Model``, ``Model:key=value:key=value``, or either with a name of its own before
    it, ``Name=Model:key=value``. Commas and colons within brackets belong to a value.

    Args:
        text: Elements separated by commas, or a list of them.
        models: Names of all models.

    Raises:
        ConfigError: An element cannot be read, its model is unknown, or two have one name.

    Example:
        >>> parse_variants("BPR,mine=BPR:loss_type=BPR:layers=[8,4]", ["BPR"])[1]
        Variant(name='mine', model='BPR', keys={'loss_type': 'BPR', 'layers': '[8,4]'})
    """
    if not isinstance(text, (str, list, tuple)):
        refuse("--model_list", text, "a list of models such as [Pop, BPR, SiBraR]")

    variants = []
    for part in _split(text, ",") if isinstance(text, str) else text:
        # The elements of a yaml list may be numbers.
        element = str(part).strip()
        if element:
            variants.append(_parse_variant(element, models))

    if not variants:
        refuse("--model_list", text, "names of models separated by commas, such as Pop,BPR,SiBraR")
    _check_names_differ(variants)
    return variants


def _check_names_differ(variants: Sequence[Variant]) -> None:
    # Two names may differ, and yet name one folder.
    names = [file_name(variant.name) for variant in variants]
    for variant, name in zip(variants, names, strict=True):
        n_equal = names.count(name)
        if n_equal > 1:
            raise ConfigError(
                f"--model_list: found '{variant.name}' {n_equal} times; give each variant a name "
                "of its own (file names keep letters, digits, points and underscores), "
                f"such as mine={variant.name}"
            )


def _parse_variant(element: str, models: Sequence[str]) -> Variant:
    if sum(map(element.count, _OPENING)) != sum(map(element.count, _CLOSING)):
        refuse("--model_list", element, "as many closing brackets as opening ones")

    head, *pairs = _split(element, ":")
    before, equals, after = head.partition("=")
    # Without a name of its own, a variant is called by its whole element, keys included.
    name = before.strip() if equals else element
    model = after.strip() if equals else head.strip()

    if model not in models:
        refuse("--model_list", model, f"the name of a model{nearest(model, models)}")
    if not file_name(name):
        refuse("--model_list", element, f"a name with letters or digits before ={model}")

    return Variant(name, model, _parse_keys(element, model, pairs))


def _parse_keys(element: str, model: str, pairs: Sequence[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for pair in pairs:
        before, sign, after = pair.partition("=")
        key = before.strip()
        value = after.strip()
        if not sign or not key:
            refuse("--model_list", element, f"{model}:key=value")
        if keys.get(key, value) != value:
            refuse("--model_list", element, f"one value of {key}")
        keys[key] = value
    return keys


def _split(text: str, separator: str) -> Iterator[str]:
    """Split a text at separators outside all brackets."""
    depth = 0
    part = ""
    for character in text:
        depth += character in _OPENING
        depth -= character in _CLOSING
        if character == separator and depth == 0:
            yield part
            part = ""
        else:
            part += character
    yield part


def file_name(name: str) -> str:
    """Turn the name of a variant into a part of a file name.

    Example:
        >>> file_name("SiBraR:item_modalities=[id, text]")
        'SiBraR-item_modalities-id-text'
    """
    return re.sub(r"[^\w.+]+", "-", name).strip("-")[:100]


def parse_seeds(text: str, first: int) -> list[int]:
    """Read a number of seeds, or a list of them.

    Args:
        text: ``5`` for five consecutive seeds from ``first``, or ``2020,2021``.
        first: The seed of the configuration.

    Raises:
        ConfigError: It is neither.

    Example:
        >>> parse_seeds("3", 2020), parse_seeds("7,1", 2020)
        ([2020, 2021, 2022], [7, 1])
    """
    parts = [part.strip() for part in text.strip("[]").split(",")]
    numbers = [part for part in parts if part]
    # Only ASCII: isdigit is true for "²" too, which int refuses.
    if not numbers or not re.fullmatch("[0-9]+", "".join(numbers)):
        refuse("--seeds", text, "a number of seeds, or seeds separated by commas")

    seeds = [int(number) for number in numbers]
    # "2020," is a list of one seed, "5" a number of seeds.
    if len(seeds) > 1 or text.strip().endswith(","):
        if len(set(seeds)) < len(seeds):
            refuse("--seeds", text, "each seed once")
        return seeds

    if seeds[0] < 1:
        refuse("--seeds", text, "at least one seed")
    return list(range(first, first + seeds[0]))
