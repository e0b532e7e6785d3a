"""Progress of long work: a step says how far it is, and whoever watches decides how to show it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, int, int | None], None]

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watch_progress(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` the stage, the rows done and the rows in all (None if unknown) while inside."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report_progress(stage: str, done: int, total: int | None = None) -> None:
    """Say how far a stage is; silent when nobody watches, as in a scheduled run."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(stage, done, total)
