"""Usual names of columns. They are recognised without an option, in any case and punctuation."""

from __future__ import annotations

import re
from collections.abc import Sequence

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        "user_id",
        "customer_id",
        "client_id",
        "member_id",
        "account_id",
        "visitor_id",
        "buyer_id",
        "shopper_id",
        "reviewer_id",
        "person_id",
        "session_id",
        "uid",
        "user",
        "customer",
        "client",
        "member",
        "account",
        "visitor",
        "buyer",
        "shopper",
        "reviewer",
        "customer_number",
        "customer_no",
        "client_no",
        "customer_unique_id",
        "session",
    ),
    "item": (
        "item_id",
        "product_id",
        "article_id",
        "parent_asin",
        "asin",
        "isbn",
        "movie_id",
        "track_id",
        "song_id",
        "book_id",
        "artist_id",
        "business_id",
        "video_id",
        "game_id",
        "news_id",
        "recipe_id",
        "listing_id",
        "sku",
        "product_sku",
        "item_sku",
        "variant_id",
        "variant_sku",
        "lineitem_sku",
        "product_code",
        "item_code",
        "stock_code",
        "article_code",
        "article_number",
        "article_no",
        "product_number",
        "item_number",
        "item_no",
        "ean",
        "gtin",
        "iid",
        "item",
        "product",
        "article",
        "movie",
        "track",
        "song",
        "book",
    ),
    "rating": (
        "rating",
        "stars",
        "score",
        "overall",
        "book_rating",
        "user_rating",
        "review_score",
        "star_rating",
    ),
    "timestamp": (
        "timestamp",
        "time",
        "date",
        "datetime",
        "unix_review_time",
        "unix_time",
        "ts",
        "event_time",
        "ordered_at",
        "order_date",
        "order_time",
        "purchased_at",
        "purchase_date",
        "bought_at",
        "transaction_date",
        "invoice_date",
        "t_dat",
        "viewed_at",
        "played_at",
        "rated_at",
        "review_date",
        "created_at",
        "created",
    ),
}
"""Role of a column -> usual names, the most telling first."""

_TIME_ENDINGS = (
    # order_date, "shipped on"
    re.compile(r"[\W_](?:at|on|date|time|ts)$", re.I),
    # orderdate
    re.compile(r"(?:date|datetime|timestamp)$", re.I),
    # createdAt; small letters would be the ends of words such as format.
    re.compile(r"[a-z](?:At|On|Time)$"),
)

# Their numbers are names, not amounts; plz is the German postcode.
_ID_WORDS = frozenset(
    (
        "id",
        "ids",
        "ean",
        "gtin",
        "upc",
        "isbn",
        "asin",
        "sku",
        "code",
        "uuid",
        "guid",
        "zip",
        "zipcode",
        "postcode",
        "plz",
    )
)


def plain(name: str) -> str:
    """Write a name in small letters without punctuation.

    Example:
        >>> plain("Customer ID"), plain("customerId")
        ('customerid', 'customerid')
    """
    return re.sub(r"[\W_]+", "", name.casefold())


def usual_columns(role: str, names: Sequence[str]) -> list[str]:
    """Find columns with a usual name for a role, the most telling first.

    Args:
        role: A key of :data:`USUAL_NAMES`.
        names: Names of the columns.
    """
    ranks: dict[str, int] = {}
    for rank, usual in enumerate(USUAL_NAMES[role]):
        ranks.setdefault(plain(usual), rank)

    found = [name for name in names if plain(name) in ranks]
    found.sort(key=lambda name: ranks[plain(name)])

    # Endings are less telling than names: such columns come last.
    if role == "timestamp":
        found += [name for name in names if name not in found and _ends_like_a_time(name)]
    return found


def usual_id_columns(side: str, names: Sequence[str]) -> list[str]:
    """Find columns with a usual name for the ids of a table of users or items.

    Args:
        side: ``user`` or ``item``.
        names: Names of the columns.
    """
    # In a table of its own side a plain "id" is telling enough.
    return [*usual_columns(side, names), *alike(names, "id")]


def alike(names: Sequence[str], wanted: str) -> list[str]:
    """Find the names equal to ``wanted``, but for case and punctuation."""
    return [name for name in names if plain(name) == plain(wanted)]


def is_id_name(name: str) -> bool:
    """Recognise names of identifiers and codes: ``category_id``, ``brandId``, ``EAN``, ``zip``."""
    # Words in snake case and in camel case: brandId is brand and Id.
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return bool(words) and words[-1].casefold() in _ID_WORDS


def _ends_like_a_time(name: str) -> bool:
    return any(ending.search(name) for ending in _TIME_ENDINGS)
