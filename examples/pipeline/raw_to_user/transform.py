"""What a raw shop event becomes: none, one or several user events."""

from decimal import Decimal
from typing import Any

Event = dict[str, Any]

CURRENCIES = ("EUR", "USD", "GBP")


def transform(raw: Event) -> list[Event]:
    """Returns the user events of a raw event; none for a heartbeat.

    An order becomes one event for itself and one for each of its items. A currency that is not
    ours raises `ValueError`.
    """
    if raw["type"] == "heartbeat":
        return []
    currency = raw.get("currency")
    if currency is not None and currency not in CURRENCIES:
        raise ValueError(f"unknown currency: {currency}")
    event = {
        "event_id": raw["event_id"],
        "user_id": raw["user_id"],
        "kind": raw["type"],
        "occurred_at": raw["occurred_at"],
        "amount": raw.get("amount"),
        "currency": currency,
        "sku": None,
    }
    if raw["type"] != "order_placed":
        return [event]
    return [event, *(bought(event, at, item) for at, item in enumerate(raw["items"], start=1))]


def bought(order: Event, at: int, item: Event) -> Event:
    """Returns the event of one item of an order."""
    return {
        **order,
        "event_id": f"{order['event_id']}/{at}",
        "kind": "item_bought",
        "amount": str(Decimal(item["price"]) * item["quantity"]),
        "sku": item["sku"],
    }
