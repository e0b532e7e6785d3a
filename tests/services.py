"""Servers that tests need beside the program: those that listen already, named by variables of the environment."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def make_database() -> Iterator[str]:
    """Make an empty database on the PostgreSQL of SCORELAKE_TEST_POSTGRES, and drop it at the end; its address."""
    server = os.environ.get("SCORELAKE_TEST_POSTGRES")
    if not server:
        pytest.skip("SCORELAKE_TEST_POSTGRES names no PostgreSQL (host:port)")
    import psycopg  # noqa: PLC0415 - of the optional extra

    name = f"scorelake_test_{secrets.token_hex(6)}"
    with psycopg.connect(f"postgres://postgres@{server}/postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            yield f"postgres://postgres@{server}/{name}"
        finally:
            connection.execute(f"drop database {name} with (force)")


@contextmanager
def find_redis() -> Iterator[str]:
    """A database of the Redis of SCORELAKE_TEST_REDIS, as Feast writes it, that no other worker uses; then emptied."""
    server = os.environ.get("SCORELAKE_TEST_REDIS")
    if not server:
        pytest.skip("SCORELAKE_TEST_REDIS names no Redis (host:port)")
    import redis  # noqa: PLC0415 - of the optional extra

    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    host, port = server.split(":")
    yield f"{server},db={number}"
    redis.Redis(host, int(port), db=number).flushdb()
