"""What a raw shop event becomes: none, one or several user events."""

from decimal import Decimal
from typing import Any

Event = dict[str, Any]

CURRENCIES = ("EUR", "USD", "GBP")


def transform(raw: Any) -> list[Event]:
    """Returns the user events of a raw event; none for a heartbeat.

    An order becomes one event for itself and one for each of its items. What is no event, or has a
    currency that is not ours, raises a `ValueError` that names the field.
    """
    if not isinstance(raw, dict):
        raise ValueError(f"the event is no object but {type(raw).__name__}")
    kind = text(raw, "type")
    if kind == "heartbeat":
        return []
    currency = raw.get("currency")
    if currency is not None and currency not in CURRENCIES:
        raise ValueError(f"unknown currency: {currency}")
    event = {
        "event_id": text(raw, "event_id"),
        "user_id": text(raw, "user_id"),
        "kind": kind,
        "occurred_at": text(raw, "occurred_at"),
        "amount": raw.get("amount"),
        "currency": currency,
        "sku": None,
    }
    if kind != "order_placed":
        return [event]
    items = raw.get("items")
    if not isinstance(items, list):
        raise ValueError(f"items {is_not('a list', items)}")
    return [event, *(bought(event, at, item) for at, item in enumerate(items, start=1))]


def bought(order: Event, at: int, item: Any) -> Event:
    """Returns the event of one item of an order."""
    where = f"items[{at - 1}]"
    if not isinstance(item, dict):
        raise ValueError(f"{where} {is_not('an object', item)}")
    quantity = item.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        raise ValueError(f"{where}.quantity {is_not('a whole number', quantity)}")
    return {
        **order,
        "event_id": f"{order['event_id']}/{at}",
        "kind": "item_bought",
        "amount": str(price(item, f"{where}.") * quantity),
        "sku": text(item, "sku", f"{where}."),
    }


def price(item: Event, where: str) -> Decimal:
    """Returns the price of an item."""
    found = text(item, "price", where)
    try:
        amount = Decimal(found)
    except ArithmeticError:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ValueError(f"{where}price is no amount: {found}")
    return amount


def text(of: Event, name: str, where: str = "") -> str:
    """Returns a field that has to be a text, one that can be written as UTF-8."""
    found = of.get(name)
    if not isinstance(found, str):
        raise ValueError(f"{where}{name} {is_not('a text', found)}")
    if any("\ud800" <= char <= "\udfff" for char in found):
        raise ValueError(f"{where}{name} has half a surrogate pair")
    return found


def is_not(wanted: str, found: Any) -> str:
    return "is missing" if found is None else f"is not {wanted} but {type(found).__name__}"
