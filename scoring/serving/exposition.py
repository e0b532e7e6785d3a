"""What the service counts for Prometheus; what batch runs have done is in `batch_exposition`."""

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scoring.serving.champion import Champions
    from scoring.serving.scorer import Scorer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class HttpMetrics:
    """Requests by route, and those that did not pass the door, in a registry of one service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "scorelake_http_request_seconds",
            "Seconds from the request to the end of its answer.",
            ("route", "method", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.under_way = Gauge("scorelake_http_requests_under_way", "Requests being answered.", registry=registry)
        self._refused = Counter(
            "scorelake_http_refused", "Requests that did not pass the door, by why.", ("reason",), registry=registry
        )
        for reason in ("origin", "key", "rate", "size", "type", "time"):
            self._refused.labels(reason)  # so that it is there, and 0

    def refuse(self, reason: str) -> None:
        """Count a request that did not pass."""
        self._refused.labels(reason).inc()


class Timed:
    """ASGI middleware that measures requests, by the route that answered: a path from outside never is a label."""

    def __init__(self, app: "ASGIApp", *, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500

        async def send_on(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.under_way.track_inprogress():
            try:
                await self._app(scope, receive, send_on)
            finally:
                route = getattr(scope.get("route"), "path", "none")
                spent = perf_counter() - started
                method = scope["method"] if route != "none" else "any"
                self._metrics.seconds.labels(route, method, str(status)).observe(spent)


class ServiceCollector(Collector):
    """The champions at work, and how much was scored, as they are when Prometheus asks."""

    def __init__(self, champions: "Champions", scorer: "Scorer") -> None:
        self._champions = champions
        self._scorer = scorer

    def collect(self) -> Iterator[Metric]:
        """Collect what there is to say now."""
        served = InfoMetricFamily("scorelake_served_model", "The version that answers.", labels=["model"])
        for name, one in self._champions.served.items():
            served.add_metric([name], {"version": one.model.version, "digest": one.model_digest[:12]})
        yield served
        current = GaugeMetricFamily(
            "scorelake_served_champion", "1 if the champion of the ledger answers, else 0.", labels=["model"]
        )
        for name, champion in self._champions.ledger.items():
            answering = self._champions.served.get(name)
            is_current = champion is not None and answering is not None and answering.model.version == champion
            current.add_metric([name], float(is_current))
        yield current
        for metric, said, counts in (
            ("scorelake_champion_swaps", "Versions that began to answer.", self._champions.swaps),
            ("scorelake_champion_refusals", "Times that a champion failed a check.", self._champions.refusals),
        ):
            family = CounterMetricFamily(metric, said, labels=["model"])
            for name, count in counts.items():
                family.add_metric([name], count)
            yield family
        yield CounterMetricFamily("scorelake_texts_scored", "Texts scored.", value=self._scorer.texts_scored)
        remembered = self._scorer.texts_remembered
        yield CounterMetricFamily("scorelake_texts_remembered", "Of them, those answered before.", value=remembered)
