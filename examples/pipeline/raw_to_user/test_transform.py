"""What a raw event becomes."""

import pytest
from transform import transform

RAW = {
    "event_id": "evt-000123",
    "type": "page_view",
    "user_id": "u-17",
    "occurred_at": "2026-01-09T10:30:00.123Z",
}
ORDER = RAW | {
    "type": "order_placed",
    "amount": "12.50",
    "currency": "EUR",
    "items": [
        {"sku": "mug", "quantity": 2, "price": "5.00"},
        {"sku": "pen", "quantity": 1, "price": "2.50"},
    ],
}


def test_a_heartbeat_becomes_nothing() -> None:
    assert transform(RAW | {"type": "heartbeat"}) == []


def test_a_page_view_becomes_one_event() -> None:
    (event,) = transform(RAW)
    assert event["kind"] == "page_view"
    assert event["currency"] is None


def test_an_order_fans_out_to_its_items() -> None:
    order, mug, pen = transform(ORDER)
    assert (order["kind"], order["amount"]) == ("order_placed", "12.50")
    assert (mug["event_id"], mug["kind"], mug["amount"]) == ("evt-000123/1", "item_bought", "10.00")
    assert (pen["event_id"], pen["sku"], pen["currency"]) == ("evt-000123/2", "pen", "EUR")


def test_an_unknown_currency_raises() -> None:
    with pytest.raises(ValueError, match="unknown currency: XAU"):
        transform(ORDER | {"currency": "XAU"})


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (None, "the event is no object but NoneType"),
        ([RAW], "the event is no object but list"),
        ({}, "type is missing"),
        (RAW | {"type": ["page_view"]}, "type is not a text but list"),
        (RAW | {"user_id": 17}, "user_id is not a text but int"),
        (RAW | {"user_id": {"id": "u-17"}}, "user_id is not a text but dict"),
        (RAW | {"user_id": "\ud800"}, "user_id has half a surrogate pair"),
        (RAW | {"event_id": None}, "event_id is missing"),
        (RAW | {"occurred_at": 1.5}, "occurred_at is not a text but float"),
        (RAW | {"currency": {}}, "unknown currency: {}"),
        (RAW | {"type": "order_placed"}, "items is missing"),
        (ORDER | {"items": {}}, "items is not a list but dict"),
        (ORDER | {"items": ["mug"]}, "items[0] is not an object but str"),
    ],
)
def test_what_is_no_event_is_refused_by_the_name_of_its_field(raw: object, told: str) -> None:
    with pytest.raises(ValueError) as raised:
        transform(raw)
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sku": 7}, "items[1].sku is not a text but int"),
        ({"quantity": "2"}, "items[1].quantity is not a whole number but str"),
        ({"quantity": True}, "items[1].quantity is not a whole number but bool"),
        ({"price": 5.0}, "items[1].price is not a text but float"),
        ({"price": "free"}, "items[1].price is no amount: free"),
        ({"price": "NaN"}, "items[1].price is no amount: NaN"),
    ],
)
def test_what_is_no_item_is_refused_by_its_place(change: dict[str, object], told: str) -> None:
    pen = {"sku": "pen", "quantity": 1, "price": "2.50"}
    with pytest.raises(ValueError) as raised:
        transform(ORDER | {"items": [pen, pen | change]})
    assert str(raised.value) == told
