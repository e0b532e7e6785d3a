"""The routes: what is asked for, and who answers it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from scoring.serving import lookups, payloads
from scoring.serving.champion import Served
from scoring.serving.document import describe_problems
from scoring.serving.payloads import Identifier
from scoring.serving.problems import RequestRefused
from scoring.serving.work import Serving
from training.spec import list_specs

_PAGE: Final = Path(__file__).parent
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_ALWAYS: Final = (401, 403, 429, 503, 504)

ModelName = Annotated[str, InPath(description="Name of the model.", json_schema_extra={"enum": [*list_specs()]})]
Comment = Annotated[Identifier, InPath(description="Id of the comment.")]
ChannelId = Annotated[Identifier, InPath(description="Id of the channel.")]

router = APIRouter()


def _get(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


def _answer(said: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(said, option=orjson.OPT_UTC_Z), status, media_type="application/json")


@router.post(
    "/v1/{model}/score",
    response_model=payloads.ScoreAnswer,
    responses=describe_problems(400, 404, 413, 415, 422, *_ALWAYS),
    summary="Score texts by the champion.",
)
async def score(request: Request, model: ModelName, asked: payloads.ScoreRequest) -> Response:
    """Score 1 to 1,000 texts; the answer has one result per text, in their order."""
    serving = _get(request)
    scored = await asyncio.wrap_future(serving.scorer.submit(model, asked.texts, asked.top_words))
    lineage = serving.describe(scored.served, scored.state)
    version = scored.served.model.version
    return _answer({"model": model, "model_version": version, "lineage": lineage, "results": scored.results})


@router.post(
    "/v1/feedback",
    status_code=202,
    response_model=payloads.FeedbackAnswer,
    responses=describe_problems(400, 404, 413, 415, 422, *_ALWAYS),
    summary="Give a comment a label.",
)
def give_feedback(request: Request, given: payloads.FeedbackRequest) -> Response:
    """Keep a label for the next ingest of labels. Of a text that no comment has, nothing is kept."""
    serving = _get(request)
    served = serving.champions.find(given.model)
    if given.label not in served.model.classes:
        raise RequestRefused(422, f"{given.model} has the labels {', '.join(served.model.classes)}")
    if (given.comment_id is None) == (given.text is None):
        raise RequestRefused(422, "name the comment either by comment_id or by its exact text")
    return _answer(serving.inbox.keep(given, serving.options.now()), 202)


@router.get(
    "/v1/comments/{comment_id}",
    response_model=payloads.CommentAnswer,
    responses=describe_problems(404, 422, *_ALWAYS),
    summary="The scores of a comment that are in force.",
)
def read_comment(request: Request, comment_id: Comment, explain: bool = False) -> Response:  # noqa: FBT001, FBT002 - a query parameter
    """Read the scores of a comment that are in force; explained, with its text and the words that moved them."""
    serving = _get(request)
    return _answer(lookups.read_comment(serving.lake, comment_id, list_specs(), is_explained=explain))


@router.get(
    "/v1/channels",
    response_model=payloads.ChannelsAnswer,
    responses=describe_problems(422, *_ALWAYS),
    summary="The channels with the most scored comments.",
)
def list_channels(request: Request, limit: Annotated[int, Query(ge=1, le=1_000)] = 20) -> Response:
    """List channels, those with the most scored comments first."""
    return _answer(lookups.read_channels(_get(request).lake, limit))


@router.get(
    "/v1/channels/{channel_id}/daily",
    response_model=payloads.DailyAnswer,
    responses=describe_problems(404, 422, *_ALWAYS),
    summary="A channel's labels by day.",
)
def read_daily(
    request: Request,
    channel_id: ChannelId,
    model: str = "sentiment",
    days: Annotated[int, Query(ge=1, le=3_660)] = 90,
) -> Response:
    """Read the scores in force of a channel's comments, by day (UTC), the earliest first."""
    return _answer(lookups.read_daily(_get(request).lake, channel_id, model, days))


@router.get(
    "/v1/models",
    response_model=payloads.ModelsAnswer,
    responses=describe_problems(*_ALWAYS),
    summary="The models at work.",
)
def list_models(request: Request) -> Response:
    """List the models at work, what they rest on, and how fresh it is."""
    serving = _get(request)
    state = serving.context.state
    return _answer(
        {
            "models": [_describe_model(serving, one) for one in _list_served(serving)],
            "newest_comment_at": lookups.read_freshness(serving.lake).newest_comment_at,
            "features_at": state.filled_at if state else None,
            "data_version": state.data_version if state else None,
        }
    )


def _describe_model(serving: Serving, served: Served) -> dict[str, Any]:
    refused = serving.champions.refused.get(served.name)
    return {
        "model": served.name,
        "model_version": served.model.version,
        "classes": served.model.classes,
        "abstain_below": served.model.abstain_below,
        "lineage": serving.describe(served, serving.context.state),
        "champion": serving.champions.ledger.get(served.name),
        "refused": {"version": refused.version, "reason": refused.reason} if refused else None,
    }


def _list_served(serving: Serving) -> Sequence[Served]:
    return [served for name in list_specs() if (served := serving.champions.served.get(name))]


@router.get("/health/live", response_model=payloads.Health, responses=describe_problems(403), summary="Is it there?")
async def tell_live() -> Response:
    """Tell that the process answers."""
    return _answer({"status": "live"})


@router.get(
    "/health/ready", response_model=payloads.Health, responses=describe_problems(403, 503), summary="Can it score?"
)
async def tell_ready(request: Request) -> Response:
    """Tell whether every model that has a champion answers; one that was refused leaves the one before at work."""
    serving = _get(request)
    champions = serving.champions
    lacking = [name for name, version in champions.ledger.items() if version and name not in champions.served]
    if lacking or not champions.served:
        raise RequestRefused(503, f"not loaded: {', '.join(lacking) or 'any model'}", retry_after=5)
    return _answer({"status": "ready"})


@router.get("/metrics", responses=describe_problems(*_ALWAYS), include_in_schema=False)
def tell_metrics(request: Request) -> Response:
    """Tell Prometheus what was counted."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/", include_in_schema=False)
@router.get("/page.js", include_in_schema=False)
@router.get("/page.css", include_in_schema=False)
async def show_page(request: Request) -> Response:
    """Show the lookup page."""
    name = request.url.path.strip("/") or "page.html"
    kinds = {"page.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}
    return Response((_PAGE / name).read_bytes(), media_type=kinds[name], headers=_PAGE_HEADERS)
