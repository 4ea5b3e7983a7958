"""Loops over messages: each is a hop while the loop's body works on it."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from typing import Any, TypeVar, overload

from tracebaton._native import Hop, Propagation, process

M = TypeVar("M")
_Start = Callable[[Any], Hop]

LEFT = "the loop was left while the message was handled"


@overload
def consume(
    messages: AsyncIterable[M], *, group: str | None = None, propagation: Propagation | None = None
) -> AsyncGenerator[tuple[M, Hop], None]: ...
@overload
def consume(
    messages: Iterable[M], *, group: str | None = None, propagation: Propagation | None = None
) -> Generator[tuple[M, Hop], None, None]: ...
def consume(
    messages: Any, *, group: str | None = None, propagation: Propagation | None = None
) -> Any:
    """Iterates over messages, each with its hop: it is the current one until the next is asked for.

        for record, hop in tracebaton.consume(records, group="billing"):
            outputs.append((hop.output("invoices"), invoice(record.value)))

    What was made of a message may be sent after the loop: the hop is told once its outputs are.

    A loop that is left early, by `break` or by an exception, does not tell why: the message in hand
    has then failed, unless something else was said of it. Call `hop.end()` before a `break` that
    follows upon a message that was handled. An asynchronous loop is left when its iterator is
    closed: use `contextlib.aclosing`, as for any asynchronous generator.
    """
    start = functools.partial(process, group=group, propagation=propagation)
    return _async(messages, start) if hasattr(messages, "__aiter__") else _sync(messages, start)


def _sync(messages: Iterable[M], start: _Start) -> Generator[tuple[M, Hop], None, None]:
    for message in messages:
        with start(message) as hop:
            try:
                yield message, hop
            except GeneratorExit:
                raise GeneratorExit(LEFT) from None


async def _async(messages: AsyncIterable[M], start: _Start) -> AsyncGenerator[tuple[M, Hop], None]:
    async for message in messages:
        with start(message) as hop:
            try:
                yield message, hop
            except GeneratorExit:
                raise GeneratorExit(LEFT) from None
