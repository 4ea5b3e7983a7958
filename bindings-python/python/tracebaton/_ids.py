"""Trace ids by which OpenTelemetry carries a baton along, and root spans that have a given one.

A span can be made current without the context it was started in, so a value in the context does not
reach all of its children. The trace id does: every child has its parent's, as the same object.

A legacy id names a trace but no span, so its first span is a root. The SDK asks its `IdGenerator`
for the trace id of every root without telling the context; it is looked up where the SDK asks.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from opentelemetry.context import create_key, get_value
from opentelemetry.context.context import Context

from tracebaton._native import Carried

KEY = create_key("tracebaton")

_SDK_IDS = "opentelemetry.sdk.trace.id_generator"


class TraceId(int):
    """A trace id, and the baton that came in with it."""

    carried: Carried

    @classmethod
    def of(cls, carried: Carried) -> TraceId:
        trace_id = cls(carried.trace_id)
        trace_id.carried = carried
        return trace_id

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


def given_trace_id(asking: FrameType) -> TraceId | None:
    """Returns the trace id that the root span which is being started has to have, if any."""
    context = asking.f_locals.get("context")
    found = get_value(KEY, context if isinstance(context, Context) else None)
    if isinstance(found, Carried) and found.trace_id and not found.span_id:
        return TraceId.of(found)
    return None


def is_given(asking: FrameType) -> bool:
    """Tells whether the span which is being started got its trace id from a baton."""
    return isinstance(asking.f_locals.get("trace_id"), TraceId)


def teach_sdk() -> None:
    """Lets the SDK's own generator know of given ids; other generators stay as they are.

    Where the SDK is not loaded there are no spans either.
    """
    module = sys.modules.get(_SDK_IDS)
    if module is None:
        return
    generator: Any = module.RandomIdGenerator
    if hasattr(generator, "_tracebaton"):
        return
    random_id = generator.generate_trace_id
    is_random = getattr(generator, "is_trace_id_random", lambda _: False)

    def generate_trace_id(self: Any) -> int:
        return given_trace_id(sys._getframe(1)) or int(random_id(self))

    def is_trace_id_random(self: Any) -> bool:
        return not is_given(sys._getframe(1)) and bool(is_random(self))

    generator.generate_trace_id = generate_trace_id
    generator.is_trace_id_random = is_trace_id_random
    generator._tracebaton = True
