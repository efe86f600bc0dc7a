"""A service of somebody else's, which traces what it does by itself and asks Concertino in the middle of it.

``python caller.py PLAN [FOLDER]``: prints the id of the task and how it ended. Its own spans go where the environment says, as
those of the service "shop".
"""

import asyncio
import sys

import msgspec
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from concertino.client import Client, Plan, Source

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)


async def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan | None)
    sources = [Source(kind="docs", location=location) for location in sys.argv[2:]]
    async with Client() as client:
        with trace.get_tracer("shop").start_as_current_span("checkout"):
            seen = await client.ask("hush-request", plan=plan, sources=sources)
    sys.stdout.write(f"{seen.task} {seen.status}\n")


asyncio.run(main())
provider.shutdown()
