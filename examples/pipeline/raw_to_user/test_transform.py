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
