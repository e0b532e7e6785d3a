"""Locks in files, which the operating system frees when their holder dies; who holds one stands beside it."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from feature_repo.errors import Unavailable
from feature_repo.release import LaterRelease


@contextmanager
def hold_lock(path: Path, purpose: str, wait_seconds: float) -> Iterator[bool]:
    """Hold a lock that the operating system frees when its holder dies; who holds it stands beside it.

    Gives whether the holder before failed or died: its name still stands there.

    Raises `Unavailable`, naming the holder, if it is not free within the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = _locate_holder(path)
    lock = FileLock(path, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        raise Unavailable(word_busy(_describe_holder(holder), wait_seconds)) from None
    has_predecessor_failed = holder.exists()
    try:
        holder.write_text(json.dumps({"purpose": purpose, "process_id": os.getpid(), "host": socket.gethostname()}))
        yield has_predecessor_failed
        holder.unlink(missing_ok=True)
    except LaterRelease:  # it was sent away before it did anything
        if not has_predecessor_failed:
            holder.unlink(missing_ok=True)
        raise
    finally:
        lock.release()


def find_dead_holder(path: Path) -> str | None:
    """Who held a lock and died or failed, in words; None if nobody did, or somebody holds it now."""
    holder = _locate_holder(path)
    if not holder.exists() or not path.exists():
        return None
    with try_lock(path) as is_free:
        return _describe_holder(holder) if is_free and holder.exists() else None


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock if nobody else does, and give whether it was free."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:  # its owner is at work
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def word_busy(holder: str, wait_seconds: float, doing: str = "the lake is being written") -> str:
    """Say that a lock is held, by whom, and for how long it was waited for."""
    waited = timedelta(seconds=round(wait_seconds))
    return f"{doing} by {holder}; waited {waited}. Try again when it has finished."


def _locate_holder(path: Path) -> Path:
    return path.with_suffix(".holder.json")


def _describe_holder(holder: Path) -> str:
    try:
        return "{purpose}, process {process_id} on {host}".format(**json.loads(holder.read_text()))
    except (OSError, ValueError, KeyError):
        return "a process that left no name"
