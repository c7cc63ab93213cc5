from __future__ import annotations

import pytest

from recbole_sibrar.dataset_prep.converters.generic.column_names import is_id_name, usual_columns


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "user",
            [
                "customer",
                "Customer ID",
                "customerId",
                "CUSTOMER-ID",
                "client",
                "Client_Id",
                "user id",
                "UID",
            ],
        ),
        (
            "item",
            [
                "sku",
                "SKU",
                "Product",
                "product_id",
                "ProductID",
                "article id",
                "StockCode",
                "Lineitem sku",
                "EAN",
            ],
        ),
        ("rating", ["Rating", "stars", "Book-Rating", "review_score"]),
        (
            "timestamp",
            [
                "ordered_at",
                "order_date",
                "Purchased At",
                "created",
                "createdAt",
                "InvoiceDate",
                "t_dat",
                "shipped_at",
            ],
        ),
    ],
)
def test_usual_names_are_recognised(role: str, names: list[str]) -> None:
    for name in names:
        assert usual_columns(role, ["other", name]) == [name]


def test_ids_go_before_names() -> None:
    assert usual_columns("item", ["product", "sku", "Product ID"]) == [
        "Product ID",
        "sku",
        "product",
    ]
    assert usual_columns("timestamp", ["updated_at", "ordered_at"]) == ["ordered_at", "updated_at"]


@pytest.mark.parametrize(
    "name", ["flat", "format", "candidate_name", "season", "quantity", "channel"]
)
def test_other_names_are_not(name: str) -> None:
    for role in ("user", "item", "rating", "timestamp"):
        assert usual_columns(role, [name]) == []


def test_ids_are_told_by_their_names() -> None:
    assert all(map(is_id_name, ["category_id", "brandId", "EAN", "zip_code", "Category ID", "id"]))
    assert not any(map(is_id_name, ["price", "paid", "width", "grid", "video", "ideas"]))
