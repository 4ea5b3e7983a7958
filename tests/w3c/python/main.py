"""The service that the W3C Trace Context harness talks to, on 127.0.0.1.

It gets a JSON array of `{"url", "arguments"}` and posts each `arguments` to its `url`. There is
nothing of tracing in it: `opentelemetry-instrument` puts OpenTelemetry's own instrumentations into
aiohttp's server and client, and `OTEL_PROPAGATORS=tracebaton` makes ours the propagator.

    OTEL_PROPAGATORS=tracebaton OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none \\
    OTEL_LOGS_EXPORTER=none opentelemetry-instrument python main.py 5000
"""

import sys

from aiohttp import ClientError, ClientSession, web

SESSION = web.AppKey("session", ClientSession)


async def run(request: web.Request) -> web.Response:
    try:
        for errand in await request.json():
            async with request.app[SESSION].post(errand["url"], json=errand["arguments"]) as answer:
                await answer.read()
    except (ValueError, KeyError, TypeError, ClientError) as error:
        return web.Response(status=400, text=f"{type(error).__name__}: {error}\n")
    return web.Response(text="done\n")


async def session(app: web.Application) -> None:
    app[SESSION] = ClientSession()


async def close(app: web.Application) -> None:
    await app[SESSION].close()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/{path:.*}", run)
    app.on_startup.append(session)
    app.on_cleanup.append(close)
    ready = f"listening on http://127.0.0.1:{port}/"
    web.run_app(app, host="127.0.0.1", port=port, print=lambda _: print(ready, flush=True))
