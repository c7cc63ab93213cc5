"""Cold-start partitions: pure functions on ids.

Users, items or both are divided into parts. An interaction belongs to the part of its user or its
item; if both are divided, it belongs to the part of both, or is dropped ([A] section 4.2; [B]
section 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side

PARTS = ("train", "valid", "test")
"""Names of the parts, in the order of the ratios."""

DROPPED = -1
"""Part of a dropped interaction."""

_PURPOSES: dict[Side, int] = {"user": 0, "item": 1}
_ORDER = 2
_WARM = 3


def partition_entities(
    tokens: Sequence[str],
    ratios: Sequence[float],
    seed: int,
    side: Side,
    times: NDArray[np.float64] | None = None,
) -> NDArray[np.int8]:
    """Divide entities into parts, at random or by time.

    The division depends on the set of tokens with their times, the ratios, the seed and the side
    alone. The order of the tokens has no influence. The random stream is one that NumPy promises
    not to change.

    Args:
        tokens: The distinct original ids of all entities.
        ratios: Share of each part; they sum to 1.
        seed: RecBole's ``seed``.
        side: ``user`` or ``item``; each has a stream of its own.
        times: ``[n]``: the earliest entities are for training, the latest for test; equal times are
            ordered at random. None for a random order of all.

    Returns:
        int8 ``[n]``: the part of each token.

    Raises:
        DataError: A part would be empty.

    Example:
        >>> tokens, ratios = ["c", "a", "b", "d"], (0.5, 0.25, 0.25)
        >>> partition_entities(tokens, ratios, 2020, "item").tolist()
        [0, 0, 1, 2]
        >>> times = np.array([30.0, 10.0, 20.0, 40.0])
        >>> partition_entities(tokens, ratios, 2020, "item", times).tolist()
        [1, 0, 0, 2]
    """
    # cumulative shares are rounded, so that the sizes always sum to n
    n = len(tokens)
    bounds = np.floor(np.cumsum(ratios) * n + 0.5).astype(int)
    sizes = np.diff(bounds, prepend=0)

    if sizes.min() < 1:
        train, valid, test = sizes
        raise DataError(
            f"eval_args: split: {n} {side}s cannot be divided by {list(ratios)}: that leaves "
            f"{train} for train, {valid} for valid, {test} for test"
        )

    # sorted first, so that the order of the file has no influence
    parts = np.empty(n, dtype=np.int8)
    in_order = np.argsort(np.asarray(tokens))
    shuffled = in_order[_stream(seed, _PURPOSES[side]).permutation(n)]
    if times is not None:
        # stable: entities of one time stay in random order
        shuffled = shuffled[np.argsort(times[shuffled], kind="stable")]
    parts[shuffled] = np.repeat(np.arange(len(sizes)), sizes)
    return parts


def partition_interactions(
    users: pd.Series[str],
    items: pd.Series[str],
    ratios: Sequence[float],
    group_by: str,
    seed: int,
    times: pd.Series[float] | None = None,
) -> NDArray[np.int8]:
    """Divide interactions by the parts of their users, items or both.

    Args:
        users: Original id of the user of each interaction.
        items: Original id of the item of each interaction.
        ratios: Share of the entities in each part.
        group_by: Entities to divide: ``user``, ``item`` or ``both``.
        seed: RecBole's ``seed``.
        times: Time of each interaction, to divide entities by the time of their first one; None for
            at random.

    Returns:
        int8 ``[n]``: 0, 1 or 2 for training, validation and test; :data:`DROPPED` where user and
        item fall into different parts.

    Raises:
        DataError: A part would have no entity or no interaction.

    Example:
        >>> users, items = pd.Series(["u1", "u2", "u3", "u1"]), pd.Series(["i1", "i2", "i3", "i3"])
        >>> partition_interactions(users, items, (0.4, 0.3, 0.3), "user", 2020).tolist()
        [2, 1, 0, 2]
    """
    sides: dict[Side, pd.Series[str]] = {"user": users, "item": items}
    parts: NDArray[np.int8] | None = None

    for side in ("user", "item"):
        if group_by not in (side, "both"):
            continue
        codes, tokens = pd.factorize(sides[side])
        first = None
        if times is not None:
            # [n_entities]: time of the first interaction; groupby sorts by code
            first = times.groupby(codes).min().to_numpy(np.float64)

        ids = list(map(str, tokens))
        own = partition_entities(ids, ratios, seed, side, first)[codes]
        parts = own if parts is None else np.where(parts == own, parts, DROPPED)
    assert parts is not None

    counts = np.bincount(parts[parts >= 0], minlength=len(PARTS))
    if counts.min() < 1:
        raise DataError(
            f"eval_args: split: no interaction is left for {PARTS[counts.argmin()]} of "
            f"{len(users)} interactions, divided by {group_by} with the ratios {list(ratios)}"
        )
    return parts


def hold_out_known(
    parts: NDArray[np.int8],
    users: pd.Series[str],
    items: pd.Series[str],
    others: Sequence[pd.Series[Any]],
    ratios: Sequence[float],
    seed: int,
    times: pd.Series[float] | None = None,
) -> NDArray[np.int8]:
    """Hold out interactions of known users with known items too, as ColdRec does.

    The interactions of each user are divided as by RecBole's split RS: the shares of validation and
    test are rounded down. An interaction of an item without any left in training goes back to
    training.

    Args:
        parts: int8 ``[n]``, from :func:`partition_interactions`; those of training are divided.
        users: Original id of the user of each interaction.
        items: Original id of the item of each interaction.
        others: Further columns, numbers or text; they distinguish repeated interactions.
        ratios: Share of a user's interactions in each part.
        seed: RecBole's ``seed``.
        times: Time of each interaction: the latest of a user are for test, equal ones at random.
            None for at random.

    Returns:
        int8 ``[n]``: the parts of all interactions.

    Raises:
        DataError: A part gets no interaction.

    Example:
        >>> users = pd.Series(["u1"] * 5 + ["u2"])
        >>> items = pd.Series(["i1", "i2", "i3", "i4", "i1", "i4"])
        >>> times = pd.Series([1.0, 2.0, 3.0, 5.0, 4.0, 6.0])
        >>> train, ratios = np.zeros(6, dtype=np.int8), (0.6, 0.2, 0.2)
        >>> hold_out_known(train, users, items, [], ratios, 2020, times).tolist()
        [0, 0, 0, 2, 1, 0]
    """
    known = np.flatnonzero(parts == 0)
    owners = _ranks(users.iloc[known])
    columns = [_numbers(column.iloc[known]) for column in (items, *others)]

    # Random numbers are dealt to the rows in an order by content: that of the file has no
    # influence. The last key of lexsort counts first.
    canonical = np.empty(len(known), dtype=np.int64)
    by_content = np.lexsort([*columns[::-1], owners])
    canonical[by_content] = _stream(seed, _WARM).permutation(len(known))

    keys: list[NDArray[Any]] = [canonical]
    if times is not None:
        keys.append(times.iloc[known].to_numpy(np.float64))
    divided = _divide_each(owners, np.lexsort([*keys, owners]), ratios)

    # an item whose last interaction was held out would be cold
    trained = items.iloc[known][divided == 0].unique()
    divided[~items.iloc[known].isin(trained)] = 0

    counts = np.bincount(divided, minlength=len(PARTS))
    sizes = np.bincount(owners)
    if counts.min() < 1:
        raise DataError(
            f"eval_args: split: warm: no interaction is left for {PARTS[counts.argmin()]}; each of "
            f"{len(sizes)} known users has at most {sizes.max()} interactions, of which the shares "
            f"{list(ratios)} are rounded down"
        )
    result = parts.copy()
    result[known] = divided
    return result


def _divide_each(
    owners: NDArray[np.int64],
    order: NDArray[np.int64],
    ratios: Sequence[float],
) -> NDArray[np.int8]:
    """Divide the rows of each owner; the shares of validation and test are rounded down.

    Args:
        owners: int64 ``[n]``: owner of each row, from 0 without gaps.
        order: int64 ``[n]``: positions of the rows by owner, those for training first.
        ratios: Share of each part.
    """
    sizes = np.bincount(owners)
    ordered = owners[order]
    first = np.cumsum(sizes) - sizes
    # rows of the owner from this one on
    n_left = sizes[ordered] - (np.arange(len(order)) - first[ordered])

    # 0.29 * 100 is 28.999999999999996
    _, valid, test = ratios
    n_valid = np.floor(valid * sizes + 1e-9).astype(int)[ordered]
    n_test = np.floor(test * sizes + 1e-9).astype(int)[ordered]

    # the first condition that holds counts
    conditions = [n_left <= n_test, n_left <= n_test + n_valid]
    parts = np.zeros(len(order), dtype=np.int8)
    parts[order] = np.select(conditions, [2, 1], 0)
    return parts


def canonical_order(
    parts: NDArray[np.int8],
    users: pd.Series[str],
    items: pd.Series[str],
    others: Sequence[pd.Series[Any]],
    seed: int,
) -> NDArray[np.int64]:
    """Sort interactions by part, item, user and further columns, without the dropped ones.

    RecBole numbers entities in the order of their rows. In this order the numbers do not depend on
    the order of the file, and parts that are written to files and read again keep them.

    Args:
        parts: int8 ``[n]``, from :func:`partition_interactions`.
        users: Original id of the user of each interaction.
        items: Original id of the item of each interaction.
        others: Further columns, numbers or text; they order repeated interactions.
        seed: RecBole's ``seed``.

    Returns:
        int64 ``[m]``: positions of the rows.

    Example:
        >>> parts = np.array([1, 0, DROPPED, 0], dtype=np.int8)
        >>> users, items = pd.Series(["u1", "u3", "u1", "u2"]), pd.Series(["i1", "i2", "i3", "i2"])
        >>> canonical_order(parts, users, items, [], 2020).tolist()
        [3, 1, 0]
    """
    # The order of items is random: a model with equal scores for new items ranks them by their
    # numbers, and in most files popular items come first.
    item_ranks = _ranks(items)
    shuffled = _stream(seed, _ORDER).permutation(item_ranks.max() + 1)
    further = [_numbers(column) for column in others]

    keys = [parts, shuffled[item_ranks], _ranks(users), *further]
    # the last key counts first
    order = np.lexsort(keys[::-1])
    kept: NDArray[np.int64] = order[parts[order] != DROPPED]
    return kept


def _numbers(column: pd.Series[Any]) -> NDArray[Any]:
    """Return numbers as they are, and ranks of text."""
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(column)
    return _ranks(column)


def _ranks(column: pd.Series[Any]) -> NDArray[np.int64]:
    """Position of each value among the sorted distinct values."""
    codes, tokens = pd.factorize(column)
    ranks = np.empty(len(tokens), dtype=np.int64)
    ranks[np.argsort(list(map(str, tokens)))] = np.arange(len(tokens))
    of_rows: NDArray[np.int64] = ranks[codes]
    return of_rows


def _stream(seed: int, purpose: int) -> np.random.RandomState:
    """Open a random stream for each purpose."""
    # NumPy promises that RandomState never changes; the numbers of its Generator may
    sequence = np.random.SeedSequence([seed, purpose])
    return np.random.RandomState(np.random.MT19937(sequence))


def held_out_hash(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> str:
    """Hash the held-out pairs of user and item; equal partitions have equal hashes.

    Args:
        pairs: For validation and for test the original ids of the users and of the items.

    Example:
        >>> held_out_hash([(["u1"], ["i1"]), (["u3", "u2"], ["i2", "i2"])])
        '3a8bcd87b774'
    """
    digest = hashlib.sha256()
    for part, (users, items) in zip(PARTS[1:], pairs, strict=True):
        # sorted, so that the order of the interactions has no influence
        rows = zip(users, items, strict=True)
        lines = sorted(f"{part}\t{user}\t{item}\n" for user, item in rows)
        digest.update("".join(lines).encode())
    return digest.hexdigest()[:12]


def check_disjoint(
    parts: Sequence[Sequence[int]],
    tokens: Sequence[str] | NDArray[Any],
    side: Side,
) -> None:
    """Check that no entity has interactions in two parts of a cold-start split.

    Args:
        parts: For each part the internal id of each interaction's entity.
        tokens: Original id of each internal id.
        side: ``user`` or ``item``.

    Raises:
        DataError: An entity has; the message names it.

    Example:
        >>> check_disjoint([[1, 1], [2], [3, 2]], ["[PAD]", "a", "b", "c"], "user")
        Traceback (most recent call last):
        ...
        recbole_sibrar.errors.DataError: cold start: user 'b' has interactions in both valid and \
test, and so have 0 more; no user may be in two parts
    """
    seen = [np.unique(np.asarray(part)) for part in parts]

    for second, here in enumerate(seen):
        for first, before in enumerate(seen[:second]):
            both = np.intersect1d(before, here)
            if len(both):
                raise DataError(
                    f"cold start: {side} '{tokens[both[0]]}' has interactions in both "
                    f"{PARTS[first]} and {PARTS[second]}, and so have {len(both) - 1} more; no "
                    f"{side} may be in two parts"
                )
