"""Ids and sampling in the real SDK."""

import math
import uuid

import pytest
import tracebaton
from conftest import PARENT, TRACE
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from test_otel import run
from tracebaton.otel import BatonPropagator
from tracebaton.otel_sdk import BatonIdGenerator, BatonSampler

COUNT = 20_000


def relay(incoming: dict[str, str], rate: float = 1.0) -> dict[str, str]:
    provider = TracerProvider(BatonSampler(rate), id_generator=BatonIdGenerator())
    out: dict[str, str] = {}
    cx = BatonPropagator().extract(incoming)
    with provider.get_tracer("test").start_as_current_span("work", context=cx):
        BatonPropagator().inject(out)
    return out


def test_new_ids_are_uuids_of_version_7_and_random() -> None:
    made = relay({})["traceparent"].split("-")
    assert uuid.UUID(made[1]).version == 7
    assert made[3] == "03"


def test_a_legacy_id_is_not_random() -> None:
    out = relay({"x-trace-id": "order-1234"})
    assert out["x-trace-id"] == "order-1234"
    assert out["traceparent"].endswith("-01")
    assert out["traceparent"].split("-")[1] == tracebaton.extract([("trace_id", "order-1234")]).trace_id
    assert out["tracestate"].startswith("ot=rv:"), "its randomness goes along"
    again = relay({"x-trace-id": "order-1234"}, 0.5)
    assert again["traceparent"][-2:] == relay({"x-trace-id": "order-1234"}, 0.5)["traceparent"][-2:]


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_a_share_of_new_traces_is_kept(rate: float) -> None:
    ids, sampler = BatonIdGenerator(), BatonSampler(rate)
    kept = sum(
        sampler.should_sample(None, ids.generate_trace_id(), "x").decision is not Decision.DROP
        for _ in range(COUNT)
    )
    assert abs(kept - COUNT * rate) < 4 * math.sqrt(COUNT * rate * (1 - rate))


def test_the_stock_sampler_goes_wrong_with_these_ids() -> None:
    ids, stock = BatonIdGenerator(), TraceIdRatioBased(0.5)
    found = {stock.should_sample(None, ids.generate_trace_id(), "x").decision for _ in range(1_000)}
    assert found == {Decision.DROP}, "two of the 64 bits it compares are fixed"


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_child_never_decides_anew(flags: str, rate: float) -> None:
    incoming = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "tracestate": "ot=th:8,a@@b=1"}
    out = relay(incoming, rate)
    assert out["traceparent"].endswith(f"-{flags}")
    assert out["tracestate"] == incoming["tracestate"]


def test_a_decision_that_was_left_open_is_made() -> None:
    own = BatonPropagator(tracebaton.Propagation(read=["b3"]))
    for rate, flags in ((0.0, "00"), (1.0, "01")):
        provider = TracerProvider(BatonSampler(rate))
        cx = own.extract({"b3": f"{TRACE}-{PARENT}"})
        out: dict[str, str] = {}
        with provider.get_tracer("test").start_as_current_span("work", context=cx):
            own.inject(out)
            BatonPropagator().inject(out)
        assert out["traceparent"].endswith(f"-{flags}")


def test_both_are_found_by_name() -> None:
    code = """
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator()._configure(auto_instrumentation_version="1")
from opentelemetry import trace
provider = trace.get_tracer_provider()
print(type(provider.id_generator).__name__, provider.sampler.get_description())
"""
    env = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    env |= {"OTEL_PYTHON_ID_GENERATOR": "tracebaton", "OTEL_TRACES_SAMPLER": "tracebaton"}
    assert run(code, **env, OTEL_TRACES_SAMPLER_ARG="0.25") == "BatonIdGenerator BatonSampler{0.25}"


def test_a_rate_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="rate is not between 0 and 1: 2"):
        BatonSampler(2)
