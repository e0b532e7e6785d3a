"""Work in a process of its own, with a bound on its memory: what it takes cannot take the run along.

Its function and arguments, and what it returns, are pickled; frames stay inside.
"""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from feature_repo.errors import Refused

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

T = TypeVar("T")
_MIB: Final = 1 << 20


def run_apart(work: Callable[[], T], *, memory_mib: int, preload: tuple[str, ...] = ()) -> T:
    """Do the work in a process of its own, which may hold so much memory beside the libraries' files.

    What is preloaded is imported once, by the clean process that the others are forked from: that saves seconds when
    two models are watched one after the other.

    Raises
    ------
    Refused
        If it needs more, or was killed.
    """
    try:
        with ProcessPoolExecutor(
            1, mp_context=_open_context(preload), initializer=_bound, initargs=(memory_mib,)
        ) as executor:
            return executor.submit(work).result()
    except (MemoryError, BrokenProcessPool) as error:
        raise Refused(
            f"watching needs more than the {memory_mib:,} MiB of SCORELAKE_MONITOR_MEMORY_MIB, or its process was "
            "killed. Raise it, or draw fewer rows with SCORELAKE_DRIFT_SAMPLE_ROWS; nothing was written"
        ) from error


@cache
def _open_context(preload: tuple[str, ...]) -> "ForkServerContext":
    # Not forked from this process: DuckDB's and Prefect's threads do not survive that.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _bound(memory_mib: int) -> None:
    # What is mapped and never touched (a library's reservation of addresses) does not count, as it would as RLIMIT_AS.
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mib * _MIB, hardest))
