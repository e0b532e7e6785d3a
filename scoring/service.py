"""The service: the features and the champion of the batch, for one comment at a time, over HTTP.

How its parts work is in `serving`; the clock, the address and the settings come from `flows`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version as read_package_version
from typing import Final

from anyio import to_thread
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware

from feature_repo.lake import Lake
from scoring.serving.batch_exposition import BatchCollector
from scoring.serving.document import build_document
from scoring.serving.door import Door, Origins
from scoring.serving.exposition import HttpMetrics, ServiceCollector, Timed
from scoring.serving.problems import add_handlers
from scoring.serving.routes import router
from scoring.serving.work import ServiceOptions, Serving, open_serving

# Of those that read the lake, beside those that score.
_READERS: Final = 8


def build_app(lake: Lake, options: ServiceOptions) -> FastAPI:
    """Build the service of a lake; it begins to load its models when it is started."""
    registry = CollectorRegistry()
    metrics = HttpMetrics(registry)

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        app.state.serving = serving = open_serving(lake, options)
        registry.register(ServiceCollector(serving.champions, serving.scorer))
        registry.register(BatchCollector(lake))
        to_thread.current_default_thread_limiter().total_tokens = _READERS
        following = asyncio.create_task(_follow(serving))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.to_thread(serving.scorer.close)

    app = FastAPI(
        title="scorelake",
        version=read_package_version("scorelake"),
        summary="What the batch would say of a comment: the same features, the same champion.",
        docs_url=None,
        redoc_url=None,
        lifespan=live,
    )
    app.state.registry = registry
    app.include_router(router)
    add_handlers(app)
    bounds, refused = options.bounds, metrics.refuse
    app.add_middleware(Door, bounds=bounds, now=options.now, refused=refused)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=tuple(bounds.origins),
        allow_methods=("GET", "POST"),
        allow_headers=("authorization", "content-type", "x-api-key"),
        expose_headers=("Retry-After",),
    )
    app.add_middleware(Origins, origins=bounds.origins, refused=refused)
    app.add_middleware(Timed, metrics=metrics)
    app.openapi = lambda: build_document(app)  # type: ignore[method-assign]  # as FastAPI's documentation has it
    return app


async def _follow(serving: Serving) -> None:
    while True:
        await asyncio.to_thread(serving.follow)
        await asyncio.sleep(serving.options.poll_seconds)
