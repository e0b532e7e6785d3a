"""Work in a process of its own, with a bound on its memory: what it takes cannot take the run along.

Its function and arguments, and what it returns, are pickled; frames stay inside.
"""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Final, TypeVar

from feature_repo.errors import Refused

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

T = TypeVar("T")
_MIB: Final = 1 << 20
_calls: Final = count()


def run_apart(work: Callable[[], T], *, memory_mib: int, preload: tuple[str, ...] = ()) -> T:
    """Do the work in a process of its own, which may hold so much memory beside the libraries' files.

    What is preloaded is imported once for all calls but the first, by a clean process that theirs are forked from.

    Raises
    ------
    Refused
        If it needs more, or was killed.
    """
    try:
        with ProcessPoolExecutor(
            1, mp_context=_choose_context(preload), initializer=_bound, initargs=(memory_mib,)
        ) as executor:
            return executor.submit(work).result()
    except (MemoryError, BrokenProcessPool) as error:
        raise Refused(
            f"watching needs more than the {memory_mib:,} MiB of SCORELAKE_MONITOR_MEMORY_MIB, or its process was "
            "killed. Raise it, or draw fewer rows with SCORELAKE_DRIFT_SAMPLE_ROWS; nothing was written"
        ) from error


def _choose_context(preload: tuple[str, ...]) -> "BaseContext":
    # Never forked from this process: DuckDB's and Prefect's threads do not survive that. Most commands watch once: a
    # server to fork from would hold 140 MB of the same imports for nothing. Whoever watches on is spared their seconds.
    return _open_fork_server(preload) if next(_calls) else multiprocessing.get_context("spawn")


@cache
def _open_fork_server(preload: tuple[str, ...]) -> "BaseContext":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _bound(memory_mib: int) -> None:
    # What is mapped and never touched (a library's reservation of addresses) does not count, as it would as RLIMIT_AS.
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mib * _MIB, hardest))
