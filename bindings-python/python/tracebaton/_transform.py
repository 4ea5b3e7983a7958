"""`@transform`: a function from messages to values, as a hop."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractContextManager
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, Literal, cast

from tracebaton._current import enter, leave
from tracebaton._native import Batch, Hop, Output, Propagation, process

OnError = Callable[[Hop, BaseException], None]
_Made = Output | list[Output] | None

NOTHING = "it made nothing"


def transform(
    topic: str,
    *,
    group: str | None = None,
    batch: bool | Literal["together"] = False,
    on_error: OnError | None = None,
    propagation: Propagation | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function from a message to what is made of it a hop to `topic`.

    Within the function `current_hop()` is the message's: `filtered(reason)` says there why nothing
    is made of it, `set` adds an attribute. In a batch of messages with hops of their own it is
    whatever it was around the call, and so are the ids of log lines: `current_hop(message)` is the
    message's, `with current_hop(message).active():` a stretch of code that works for it.

    The function may return or yield: a value goes out as one message, a list as several; `None`, an
    empty list and a generator that yields nothing filter the message. In place of each value comes
    an `Output`, with the value, the headers and `on_delivery` for the producer. What the function
    is, it stays: a coroutine function, a generator, an asynchronous generator. Of a method take the
    bound one: `transform("out")(self.handle)`.

    With `batch` the function gets a list of messages and returns a list of the same length: for
    each message a value, a list or `None`, or the exception by which that one failed. Each message
    is a hop of its own, and what goes out is in its message's trace. With `batch="together"` they
    are one hop, in a trace of its own that is linked to theirs, and so is what goes out: each output
    is linked to its message, which has failed if it is refused. A message that is filtered or fails
    has a hop of its own.

    An exception is the message's failure and is raised on as it is; before that, `on_error` may
    say that the message is dead-lettered: `hop.message` is the message that failed. What stops the
    program or the task, as `KeyboardInterrupt`, `SystemExit` and `asyncio.CancelledError` do, leaves
    the message pending, and `on_error` is not called.
    """
    _check(topic, group, batch, on_error, propagation)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        start = functools.partial(process, group=group, propagation=propagation)
        called = _called(function)
        is_async = inspect.iscoroutinefunction(called)
        is_generator = inspect.isgeneratorfunction(called)
        is_async_generator = inspect.isasyncgenfunction(called)
        if batch and (is_generator or is_async_generator):
            raise TypeError("a transform of batches returns a list, it is no generator")
        if batch:
            kind = _Together if batch == "together" else _Each
            gather = functools.partial(Batch, group=group, propagation=propagation)
            begin = functools.partial(kind, start=start, gather=gather)
            wrap_batch = _async_batch if is_async else _batch
            return functools.wraps(function)(wrap_batch(function, topic, begin, on_error))
        if is_async:
            wrap = _async
        elif is_generator:
            wrap = _generator
        elif is_async_generator:
            wrap = _async_generator
        else:
            wrap = _function
        return functools.wraps(function)(wrap(function, topic, start, on_error))

    return decorate


def _check(topic: object, group: object, batch: object, on_error: object, propagation: object) -> None:
    """Tells of a wrong option where it is given, and not when the first message comes."""
    if not isinstance(topic, str):
        if callable(topic):  # without parentheses: the function itself is where the topic should be
            raise TypeError('transform needs a topic: write @tracebaton.transform("topic")')
        raise TypeError(f"topic must be str, not {type(topic).__qualname__}")
    if group is not None and not isinstance(group, str):
        raise TypeError(f"group must be str, not {type(group).__qualname__}")
    if batch not in (False, True, "together"):
        raise ValueError(f'batch is True or "together", not {batch!r}')
    if on_error is not None and not callable(on_error):
        kind = type(on_error).__qualname__
        raise TypeError(f"on_error must be a function of the hop and the error, not {kind}")
    if propagation is not None and not isinstance(propagation, Propagation):
        raise TypeError(f"propagation must be Propagation, not {type(propagation).__qualname__}")


_Start = Callable[..., Hop]
# What a function returns that calls another, which is no value to send.
_UNUSED = (CoroutineType, GeneratorType, AsyncGeneratorType)


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what runs when `function` is called: of an object its method."""
    if inspect.isroutine(function) or isinstance(function, functools.partial):
        return function
    return cast(Callable[..., Any], type(function).__call__)


def _outputs(hop: Hop, topic: str, made: Any) -> _Made:
    if made is None or (isinstance(made, list) and not made):
        hop._made_nothing(NOTHING)
        return None if made is None else []
    if isinstance(made, list):
        return [hop.output(topic, value=value) for value in made]
    if isinstance(made, _UNUSED):
        kind = type(made).__name__
        raise TypeError(f"a transform has to be what it returns: this one is a function, and made a {kind}")
    return hop.output(topic, value=made)


def _stops(error: BaseException) -> bool:
    """Tells whether it stops the program or the task: then the message has not failed, it comes again."""
    return not isinstance(error, (Exception, GeneratorExit))


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
                if not _stops(error):
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
                if not _stops(error):
                    _fail(hop, error, on_error)
                raise
            return _outputs(hop, topic, made)

    return wrapper


class _Whole:
    """The hop of what a generator makes: whatever leaves it is the message's failure, unless it is closed."""

    def __init__(self, hop: Hop, on_error: OnError | None) -> None:
        self.hop, self.on_error = hop, on_error

    def __enter__(self) -> Hop:
        return self.hop

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and _stops(error):
            self.hop.__exit__(kind, error, trace)
            return
        try:
            if error is not None and not isinstance(error, GeneratorExit):
                with self.hop.active():
                    _fail(self.hop, error, self.on_error)
        finally:
            self.hop.end()


def _generator(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    def wrapper(message: Any, /, *args: Any, **kwargs: Any) -> Generator[Output, None, None]:
        with _Whole(start(message), on_error) as hop:
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
                    count += 1
                    yield hop.output(topic, value=value)
            finally:
                with hop.active():
                    values.close()
            if count == 0:
                hop._made_nothing(NOTHING)

    return wrapper


def _async_generator(
    function: Callable[..., Any], topic: str, start: _Start, on_error: OnError | None
) -> Callable[..., Any]:
    async def wrapper(message: Any, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Output, None]:
        with _Whole(start(message), on_error) as hop:
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
                    count += 1
                    yield hop.output(topic, value=value)
            finally:
                with hop.active():
                    await values.aclose()
            if count == 0:
                hop._made_nothing(NOTHING)

    return wrapper


class _Together:
    """The one hop of a batch. What is made of a message is linked to it; one that is filtered or has
    failed leaves the batch."""

    def __init__(self, messages: Sequence[Any], start: _Start, gather: _Gather) -> None:
        self.messages = messages
        self.batch = gather(messages)

    def current(self) -> AbstractContextManager[object]:
        return self.batch

    def fail(self, error: BaseException, on_error: OnError | None) -> None:
        if on_error is not None and isinstance(error, Exception):
            for message in self.messages:
                self._leave(message, error, on_error)

    def outputs(self, topic: str, made: list[Any], on_error: OnError | None) -> list[_Made]:
        return [self._one(message, topic, one, on_error) for message, one in zip(self.messages, made)]

    def _one(self, message: Any, topic: str, made: Any, on_error: OnError | None) -> _Made:
        if isinstance(made, BaseException):
            self._leave(message, made, on_error)
            return None
        if made is None or (isinstance(made, list) and not made):
            with self.batch.hop(message) as hop:
                return _outputs(hop, topic, made)
        if isinstance(made, list):
            return [self.batch.output(topic, value=value, of=message) for value in made]
        return self.batch.output(topic, value=made, of=message)

    def _leave(self, message: Any, error: BaseException, on_error: OnError | None) -> None:
        with self.batch.hop(message) as hop:
            _fail(hop, error, on_error)


class _Each:
    """The hops of a batch: one for each message, settled each by its own result."""

    def __init__(self, messages: Sequence[Any], start: _Start, gather: _Gather) -> None:
        self.hops: list[Hop] = []
        try:
            for message in messages:
                self.hops.append(start(message))
        except BaseException as error:
            self._end(error)
            raise
        for hop in self.hops:
            hop._hold()

    def current(self) -> AbstractContextManager[object]:
        return self

    def __enter__(self) -> None:
        self.before = enter(self.hops)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        leave(self.before)
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        for hop in self.hops:
            hop.__exit__(type(error) if error else None, error, None)

    def fail(self, error: BaseException, on_error: OnError | None) -> None:
        # All have failed, whatever `on_error` does with the first of them.
        for hop in self.hops:
            hop.failed(error)
        for hop in self.hops:
            self._tell(hop, error, on_error)

    def outputs(self, topic: str, made: list[Any], on_error: OnError | None) -> list[_Made]:
        return [self._one(hop, topic, one, on_error) for hop, one in zip(self.hops, made)]

    def _one(self, hop: Hop, topic: str, made: Any, on_error: OnError | None) -> _Made:
        if isinstance(made, BaseException):
            self._tell(hop, made, on_error)
            return None
        outputs = _outputs(hop, topic, made)
        if not outputs:
            hop.end()
        return outputs

    def _tell(self, hop: Hop, error: BaseException, on_error: OnError | None) -> None:
        with hop.active():
            _fail(hop, error, on_error)
        hop.end()


_Gather = Callable[[Sequence[Any]], Batch]
_Begin = Callable[[Sequence[Any]], _Together | _Each]


def _as_long(made: Any, count: int) -> list[Any]:
    if isinstance(made, list) and len(made) == count:
        return made
    found = f"{len(made)} results" if isinstance(made, list) else type(made).__qualname__
    raise TypeError(f"a batch of {count} needs a list as long, not {found}")


def _batch(
    function: Callable[..., Any], topic: str, begin: _Begin, on_error: OnError | None
) -> Callable[..., Any]:
    def wrapper(messages: Sequence[Any], /, *args: Any, **kwargs: Any) -> list[_Made]:
        batch = begin(messages)
        with batch.current():
            try:
                made = _as_long(function(messages, *args, **kwargs), len(messages))
            except BaseException as error:
                if not _stops(error):
                    batch.fail(error, on_error)
                raise
            return batch.outputs(topic, made, on_error)

    return wrapper


def _async_batch(
    function: Callable[..., Any], topic: str, begin: _Begin, on_error: OnError | None
) -> Callable[..., Any]:
    async def wrapper(messages: Sequence[Any], /, *args: Any, **kwargs: Any) -> list[_Made]:
        batch = begin(messages)
        with batch.current():
            try:
                made = _as_long(await function(messages, *args, **kwargs), len(messages))
            except BaseException as error:
                if not _stops(error):
                    batch.fail(error, on_error)
                raise
            return batch.outputs(topic, made, on_error)

    return wrapper
