"""`@transform`: a function from messages to values, as a hop."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any

from tracebaton._native import Hop, Output, Propagation, process

OnError = Callable[[Hop, BaseException], None]
_Made = Output | list[Output] | None

NOTHING = "it made nothing"


def transform(
    topic: str,
    *,
    group: str | None = None,
    batch: bool = False,
    on_error: OnError | None = None,
    propagation: Propagation | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function from a message to what is made of it a hop to `topic`.

    The function may return or yield: a value goes out as one message, a list as several; `None`, an
    empty list and a generator that yields nothing filter the message. In place of each value comes
    an `Output`, with the value, the headers and `on_delivery` for the producer. What the function
    is, it stays: a coroutine function, a generator, an asynchronous generator.

    With `batch` the function gets a list of messages and returns a list of the same length: for
    each message a value, a list or `None`, or the exception by which that one failed.

    An exception is the message's failure and is raised on as it is; before that, `on_error` may
    say that the message is dead-lettered.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        start = functools.partial(process, group=group, propagation=propagation)
        is_async = inspect.iscoroutinefunction(function)
        is_generator = inspect.isgeneratorfunction(function)
        is_async_generator = inspect.isasyncgenfunction(function)
        if batch and (is_generator or is_async_generator):
            raise TypeError("a transform of batches returns a list, it is no generator")
        if batch:
            wrap = _async_batch if is_async else _batch
        elif is_async:
            wrap = _async
        elif is_generator:
            wrap = _generator
        elif is_async_generator:
            wrap = _async_generator
        else:
            wrap = _function
        return functools.wraps(function)(wrap(function, topic, start, on_error))

    return decorate


_Start = Callable[..., Hop]


def _outputs(hop: Hop, topic: str, made: Any) -> _Made:
    if made is None or (isinstance(made, list) and not made):
        hop.filtered(NOTHING)
        return None if made is None else []
    if isinstance(made, list):
        return [hop.output(topic, value=value) for value in made]
    return hop.output(topic, value=made)


def _fail(hop: Hop, error: BaseException, on_error: OnError | None) -> None:
    hop.failed(error)
    if on_error is not None and isinstance(error, Exception):
        on_error(hop, error)


def _function(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    def wrapper(message: Any, /, *args: Any, **kwargs: Any) -> _Made:
        with start(message) as hop:
            try:
                made = function(message, *args, **kwargs)
            except BaseException as error:
                _fail(hop, error, on_error)
                raise
            return _outputs(hop, topic, made)

    return wrapper


def _async(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    async def wrapper(message: Any, /, *args: Any, **kwargs: Any) -> _Made:
        with start(message) as hop:
            try:
                made = await function(message, *args, **kwargs)
            except BaseException as error:
                _fail(hop, error, on_error)
                raise
            return _outputs(hop, topic, made)

    return wrapper


def _generator(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    def wrapper(message: Any, /, *args: Any, **kwargs: Any) -> Generator[Output, None, None]:
        hop = start(message)
        with hop.active():
            values = function(message, *args, **kwargs)
        count = 0
        try:
            while True:
                # Between two values the code that asks for them runs: it is not in this hop.
                with hop.active():
                    try:
                        value = next(values)
                    except StopIteration:
                        break
                    except BaseException as error:
                        _fail(hop, error, on_error)
                        raise
                count += 1
                yield hop.output(topic, value=value)
            if count == 0:
                hop.filtered(NOTHING)
        finally:
            with hop.active():
                values.close()
            hop.end()

    return wrapper


def _async_generator(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    async def wrapper(message: Any, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Output, None]:
        hop = start(message)
        with hop.active():
            values = function(message, *args, **kwargs)
        count = 0
        try:
            while True:
                with hop.active():
                    try:
                        value = await anext(values)
                    except StopAsyncIteration:
                        break
                    except BaseException as error:
                        _fail(hop, error, on_error)
                        raise
                count += 1
                yield hop.output(topic, value=value)
            if count == 0:
                hop.filtered(NOTHING)
        finally:
            with hop.active():
                await values.aclose()
            hop.end()

    return wrapper


class _Batch:
    """The hops of a batch: one for each message, settled each by its own result."""

    def __init__(
        self, messages: Sequence[Any], topic: str, start: _Start, on_error: OnError | None
    ) -> None:
        self.hops = [start(message) for message in messages]
        self.topic = topic
        self.on_error = on_error

    def fail(self, error: BaseException) -> None:
        for hop in self.hops:
            with hop.active():
                _fail(hop, error, self.on_error)
            hop.end()

    def settle(self, made: Any) -> list[_Made]:
        if not isinstance(made, list) or len(made) != len(self.hops):
            found = f"{len(made)} results" if isinstance(made, list) else type(made).__qualname__
            wrong = TypeError(f"a batch of {len(self.hops)} needs a list as long, not {found}")
            self.fail(wrong)
            raise wrong
        return [self._one(hop, one) for hop, one in zip(self.hops, made)]

    def _one(self, hop: Hop, made: Any) -> _Made:
        with hop.active():
            try:
                if isinstance(made, BaseException):
                    _fail(hop, made, self.on_error)
                    return None
                return _outputs(hop, self.topic, made)
            finally:
                hop.end()


def _batch(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    def wrapper(messages: Sequence[Any], /, *args: Any, **kwargs: Any) -> list[_Made]:
        batch = _Batch(messages, topic, start, on_error)
        try:
            made = function(messages, *args, **kwargs)
        except BaseException as error:
            batch.fail(error)
            raise
        return batch.settle(made)

    return wrapper


def _async_batch(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    async def wrapper(messages: Sequence[Any], /, *args: Any, **kwargs: Any) -> list[_Made]:
        batch = _Batch(messages, topic, start, on_error)
        try:
            made = await function(messages, *args, **kwargs)
        except BaseException as error:
            batch.fail(error)
            raise
        return batch.settle(made)

    return wrapper
