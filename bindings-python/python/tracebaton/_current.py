"""The hop that the running code works for."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import overload

from tracebaton import _native
from tracebaton._native import Hop

_Known = dict[int, Hop]
# The hops of messages that are worked on together, by the addresses of their messages.
_together: ContextVar[_Known | None] = ContextVar("tracebaton.together", default=None)


@overload
def current_hop() -> Hop | None: ...
@overload
def current_hop(message: object) -> Hop: ...
def current_hop(message: object = None) -> Hop | None:
    """Returns the current hop; none where no message is being handled.

    `current_hop(message)` is the hop in which this message is handled: in `@transform(batch=True)`
    each has its own. To write log lines of it, say `with tracebaton.current_hop(message).active():`.
    """
    hop = _native.current_hop()
    if message is None or (hop is not None and hop.message is message):
        return hop
    if own := (_together.get() or {}).get(id(message)):
        return own
    if hop is not None and hop.message is None:  # that of a batch
        return hop
    raise ValueError("this message is not being handled here")


def enter(hops: Iterable[Hop]) -> _Known | None:
    """Makes these the hops of their messages, and returns those that were."""
    before = _together.get()
    _together.set({id(hop.message): hop for hop in hops})
    return before


def leave(before: _Known | None) -> None:
    """Puts back what was before; a token would refuse any context but its own."""
    _together.set(before)
