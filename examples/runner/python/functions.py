"""What a user of the runner writes: values in, values out, nothing of Kafka."""

from typing import Any

LIMITS = (60, 80)


def alert(reading: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Returns an alert for the limit that a reading is above: none, one, or a list of several."""
    celsius = reading["celsius"]
    if not isinstance(celsius, (int, float)):
        raise TypeError(f"celsius is no number: {celsius}")
    alerts = [{"reading": reading["id"], "above": limit} for limit in LIMITS if celsius > limit]
    if not alerts:
        return None
    return alerts[0] if len(alerts) == 1 else alerts
