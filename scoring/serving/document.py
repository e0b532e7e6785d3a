"""The OpenAPI document: what FastAPI makes of the routes, with the problems and the keys that it does not know of."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from scoring.serving.payloads import Problem

_SCHEMAS: Final = "#/components/schemas/{model}"
_TITLES: Final = {
    400: "Not JSON, or not UTF-8.",
    401: "No key, or none that is known.",
    403: "From an origin that is not allowed.",
    404: "There is no such model, comment or channel.",
    405: "Not with this method.",
    413: "Too large.",
    415: "Not application/json.",
    422: "Not as described here.",
    429: "Too many requests with this key; Retry-After says when to go on.",
    503: "Busy, stopping, or nothing to answer with yet; Retry-After says when to try again.",
    504: "It took too long.",
}


def describe_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that are problems, as FastAPI wants them told."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"content": content, "description": _TITLES[status]} for status in statuses}


def build_document(app: FastAPI) -> dict[str, Any]:
    """Build the document of an app, once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = document["components"]
        problem = Problem.model_json_schema(ref_template=_SCHEMAS)
        components["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path.startswith("/health/") else [{"bearer": []}, {"header": []}]
        app.openapi_schema = document
    return app.openapi_schema
