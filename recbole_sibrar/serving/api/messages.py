"""Requests and answers."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

__all__ = [
    "AudienceAnswer",
    "AudienceRequest",
    "ExplainAnswer",
    "ExplainRequest",
    "ItemsAnswer",
    "ModelAnswer",
    "NewUser",
    "Problem",
    "PutRequest",
    "RecommendAnswer",
    "RecommendRequest",
    "ReloadAnswer",
    "SimilarAnswer",
    "SimilarRequest",
    "TokensAnswer",
]

_DEEPEST = 3
"""Deepest nesting of a field's value: a list in a list of items."""


def check_plain(value: object, place: str = "", depth: int = 0) -> Any:
    """Check that a value from JSON is finite and is text that can be written again.

    Args:
        value: The value.
        place: Its place, for the message.
        depth: Depth of its nesting.

    Raises:
        ValueError: It is not; the message names the place.
    """
    start = f"{place}: " if place else ""
    if depth > _DEEPEST:
        raise ValueError(f"{start}found deeper nesting than {_DEEPEST} levels")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"{start}found {value}, allowed are finite numbers, and null where a value is missing"
        )
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{start}found an integer of more than 64 bits")
    if isinstance(value, str) and not _is_text(value):
        raise ValueError(f"{start}found half of a surrogate pair or a NUL, allowed is Unicode text")

    if isinstance(value, dict):
        for name, part in value.items():
            check_plain(name, place, depth + 1)
            check_plain(part, f"{place}.{name}" if place else name, depth + 1)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            check_plain(part, f"{place}[{number}]", depth + 1)
    return value


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def _token(value: object) -> object:
    """Accept a number as an id: the ids of many data sets look so."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return check_plain(value)


Token = Annotated[str, BeforeValidator(_token), Field(max_length=512)]
"""Id of a user or item."""

Fields = Annotated[dict[str, Any], AfterValidator(check_plain)]
"""Fields of a user or item, as in the atomic files; null or left out where a value is missing."""

Text = Annotated[str, AfterValidator(check_plain), Field(max_length=10_000)]

ItemFilter = Annotated[
    Annotated[Text, Tag("text")] | Annotated[list[Token], Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "text"),
]
"""Expression over display columns, or ids of the items that may be found."""

Item = Annotated[
    Annotated[Token, Tag("text")] | Annotated[Fields, Tag("object")],
    Discriminator(lambda value: "object" if isinstance(value, dict) else "text"),
]
"""Id of an item, or the fields of a new one."""


class _Request(BaseModel):
    """Request without unknown keys."""

    model_config = ConfigDict(extra="forbid")


class NewUser(_Request):
    """A user by first clicks, by fields, or by both."""

    id: Token | None = None
    """Id; the user counts as new only if the model does not know it."""
    history: list[Token] = []
    """Ids of the items that the user has clicked."""
    fields: Fields = {}
    """Fields of the user."""


User = Annotated[
    Annotated[Token, Tag("text")] | Annotated[NewUser, Tag("object")],
    Discriminator(lambda value: "object" if isinstance(value, (dict, NewUser)) else "text"),
]
"""Id of a known user, or a new user."""


class RecommendRequest(_Request):
    """Request of recommendations."""

    users: list[User] = Field(min_length=1)
    """Users."""
    k: int = Field(10, ge=1)
    """Number of items for each."""
    filter: ItemFilter | None = None
    """Items that may be recommended."""
    candidates: list[Token] | None = None
    """Ids of the items that compete; null for all."""
    exclude_seen: bool = True
    """Leave out the items that a user already has."""
    on_unknown: Literal["error", "popular", "new"] = "error"
    """Unknown ids: an error, the most popular items, or a new user by history and fields."""
    # The model has to be exported with --modalities.
    user_modalities: list[Text] | None = None
    """Modalities of the users to use; null for all."""
    item_modalities: list[Text] | None = None
    """Modalities of the items to use, likewise."""


class SimilarRequest(_Request):
    """Request of similar items."""

    items: list[Item] = Field(min_length=1)
    """Items, known or new."""
    k: int = Field(10, ge=1)
    """Number of similar items for each."""
    modalities: Annotated[list[Text], Field(min_length=1)] | None = None
    """Modalities to compare; null for all."""
    filter: ItemFilter | None = None
    """Items that may be found."""


class AudienceRequest(_Request):
    """Request of the users who would like items most."""

    items: list[Item] = Field(min_length=1)
    """Items, known or new."""
    k: int = Field(100, ge=1)
    """Number of users for each."""
    exclude_seen: bool = True
    """Leave out the users who have the item already."""


class Pair(_Request):
    """A user and an item."""

    user: User
    """The user."""
    item: Item
    """The item."""


class ExplainRequest(_Request):
    """Request to divide scores among modalities."""

    pairs: list[Pair] = Field(min_length=1)
    """Users and items."""
    user_modalities: list[Text] | None = None
    """Modalities of the users to use; null for all."""
    item_modalities: list[Text] | None = None
    """Modalities of the items to use; null for all."""


class PutRequest(_Request):
    """Items to add or to replace."""

    items: list[Fields] = Field(min_length=1)
    """Fields of the items, each with its id."""


class ScoredItem(BaseModel):
    """An item of a list."""

    item: str
    score: float
    display: dict[str, Any] = {}
    """Display columns of the model."""


class ScoredUser(BaseModel):
    """A user of a list."""

    user: str
    score: float


class Recommendation(BaseModel):
    """Items for a user, best first."""

    user: str
    source: Literal["known", "new", "popular"]
    """Origin of the list; the score of popular items is their number of training interactions."""
    items: list[ScoredItem]


class RecommendAnswer(BaseModel):
    """Recommendations in the order of the users."""

    recommendations: list[Recommendation]


class SimilarItems(BaseModel):
    """Items similar to one, best first."""

    item: str
    similar: list[ScoredItem]


class SimilarAnswer(BaseModel):
    """Similar items in the order of the items."""

    similar: list[SimilarItems]


class Audience(BaseModel):
    """Users for an item, best first."""

    item: str
    users: list[ScoredUser]


class AudienceAnswer(BaseModel):
    """Audiences in the order of the items."""

    audiences: list[Audience]


class Part(BaseModel):
    """Part of a score."""

    user_modality: str
    item_modality: str
    part: float


class Explanation(BaseModel):
    """A score and its parts."""

    user: str
    item: str
    score: float
    parts: list[Part]


class ExplainAnswer(BaseModel):
    """Explanations in the order of the pairs."""

    explanations: list[Explanation]


class ItemsAnswer(BaseModel):
    """Effect of a change of the items."""

    added: int = 0
    replaced: int = 0
    removed: int = 0
    n_items: int
    """Number of items that compete now."""


class ReloadAnswer(BaseModel):
    """The model after a reload."""

    model: str
    n_users: int
    n_items: int
    unreadable: int
    """Number of items of the store that the model cannot read."""


class FieldAnswer(BaseModel):
    """A field of users or items."""

    name: str
    type: str
    size: int


class SideAnswer(BaseModel):
    """Users or items."""

    n: int
    id_field: str
    fields: list[FieldAnswer]
    modalities: list[str]
    display: list[str]


class ModelAnswer(BaseModel):
    """Description of the model and of the limits of the server."""

    model: str
    embedding_size: int
    users: SideAnswer
    items: SideAnswer
    takes_new: bool
    """True for a model that encodes new users and items."""
    has_modalities: bool
    """True for a model with embeddings of single modalities."""
    is_writable: bool
    """True for a server with a token for writes."""
    limits: dict[str, int]


class Found(BaseModel):
    """A user or item found by a search."""

    token: str
    display: dict[str, Any] = {}


class TokensAnswer(BaseModel):
    """Users or items found by a search."""

    found: list[Found]


class Problem(BaseModel):
    """Reason of a refusal, in one line."""

    detail: str
