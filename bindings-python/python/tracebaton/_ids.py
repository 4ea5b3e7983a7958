"""Trace ids by which OpenTelemetry carries a baton along, and root spans that have a given one.

A span can be made current without the context it was started in, so a value in the context does not
reach all of its children. The trace id does: every child has its parent's, as the same object.

A legacy id names a trace but no span, so its first span is a root. The SDK asks its `IdGenerator`
for the trace id of every root without telling the context; it is looked up where the SDK asks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from opentelemetry.context import create_key, get_value
from opentelemetry.context.context import Context

from tracebaton._native import Carried

KEY = create_key("tracebaton")
HOP_KEY = create_key("tracebaton-hop")

_SDK_IDS = "opentelemetry.sdk.trace.id_generator"


class TraceId(int):
    """A trace id, and the baton that came in with it."""

    carried: Carried

    @classmethod
    def of(cls, trace_id: int, carried: Carried) -> TraceId:
        made = cls(trace_id)
        made.carried = carried
        return made

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


def root_id(asking: FrameType, random_id: Callable[[], int]) -> int:
    """Returns the trace id of the root span which is being started: what a baton names, or random."""
    context = asking.f_locals.get("context")
    found = get_value(KEY, context if isinstance(context, Context) else None)
    if not isinstance(found, Carried) or found.span_id:
        return random_id()
    return TraceId.of(found.trace_id or random_id(), found)


def is_given(asking: FrameType) -> bool:
    """Tells whether the span which is being started got its trace id from a baton."""
    trace_id = asking.f_locals.get("trace_id")
    return isinstance(trace_id, TraceId) and trace_id == trace_id.carried.trace_id


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
        return root_id(sys._getframe(1), partial(random_id, self))

    def is_trace_id_random(self: Any) -> bool:
        return not is_given(sys._getframe(1)) and bool(is_random(self))

    generator.generate_trace_id = generate_trace_id
    generator.is_trace_id_random = is_trace_id_random
    generator._tracebaton = True
