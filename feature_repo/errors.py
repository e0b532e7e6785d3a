"""Errors, grouped by what the operator does next.

ScorelakeError
├── BadData      fix the input; trying again changes nothing   (exit code 2)
├── Refused      a gate or a budget said no; what was, stays   (exit code 3)
└── Unavailable  wait and try again                            (exit code 4)

Every message says what was expected, what was found and what to do. An error of a library is
translated in the one module that owns the library.
"""

from typing import ClassVar


class ScorelakeError(Exception):
    """Root of every error that scorelake raises on purpose."""

    exit_code: ClassVar[int] = 1
    is_recorded: ClassVar[bool] = False  # whether the ledger has the run's outcome when it is raised

    @property
    def family(self) -> str:
        """Name of the family, whatever the error's own class: it tells what to do next."""
        return next(one.__name__ for one in type(self).__mro__ if one.__module__ == __name__)


class BadData(ScorelakeError):  # noqa: N818 - named by what is wrong, not by "Error"
    """The input is wrong; fix it, a retry changes nothing."""

    exit_code = 2


class Refused(ScorelakeError):  # noqa: N818 - named by the verdict
    """A gate or a budget said no; the state before stays in force."""

    exit_code = 3


class Unavailable(ScorelakeError):  # noqa: N818 - named by the state
    """Something needed is away or busy; the same call may succeed later."""

    exit_code = 4
