"""Where a lake keeps its catalog: in a file for one host, in a PostgreSQL database for several.

A catalog says how DuckLake opens it, who may write, and whether it is well. Which tables there are is not its affair.
"""

from contextlib import AbstractContextManager
from typing import ClassVar, Final, Protocol


class Catalog(Protocol):
    """DuckLake's catalog, and the locks that belong to it."""

    extension: ClassVar[str]
    """The extension of DuckDB that reads it."""

    def exists(self) -> bool:
        """Whether there is a catalog yet; raises `Unavailable` if that cannot be found out."""

    def describe(self) -> str:
        """Where it is, without any secret."""

    def read_identity(self) -> object:
        """What tells a catalog from another that was at the same place before; None before there is one."""

    def prepare(self) -> None:
        """Make the place in which DuckLake will create the catalog."""

    def list_secrets(self) -> tuple[str, ...]:
        """Statements that give DuckDB what it needs to get in."""

    def build_source(self, *, read_only: bool) -> str:
        """What DuckLake attaches, without the scheme that is DuckLake's own."""

    def list_options(self) -> tuple[str, ...]:
        """Options of the attachment that only this kind of catalog knows."""

    def hold(self, name: str, purpose: str, wait_seconds: float) -> AbstractContextManager[bool]:
        """Hold one of the lake's locks, freed when the holder dies; gives whether the holder before failed or died.

        Raises `Unavailable`, naming the holder, if it is not free within the time.
        """

    def hold_lease(self, name: str, purpose: str) -> AbstractContextManager[bool]:
        """Hold a lease while a run is at work; gives whether whoever has it by the ledger is dead for sure.

        Raises `Unavailable`, naming the holder, if another host's run is at it.
        """

    def guard(self) -> None:
        """Have the catalog refuse commits of whoever does not hold the lock `WRITER`, if it can; safe to repeat."""

    def find_dead_holder(self, name: str) -> str | None:
        """Who held a lock and died or failed, in words; None if nobody did, or somebody holds it now."""

    def list_tables(self) -> tuple[str, ...]:
        """Names of the tables of DuckLake itself that the catalog consists of."""

    def find_fault(self) -> str | None:
        """What is wrong with the catalog itself; None if nothing. Raises `Unavailable` if that cannot be found out."""

    def rewrite(self, wait_seconds: float) -> None:
        """Rewrite the catalog without what was deleted from it; raises `Unavailable` if it is in use for too long."""

    def measure(self) -> int:
        """Bytes that the catalog takes."""


WRITER: Final = "writer"
