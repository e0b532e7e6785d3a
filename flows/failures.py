"""What a run that failed says of it: what happened, and what whoever reads it does next.

The same words stand in the state and the log of the run, in the ledger and in the alert. Here is what is said; who is
told belongs to `alerts`, when to `stage`.
"""

import errno
from dataclasses import dataclass
from typing import Final, Literal

from feature_repo.alerts import Severity
from feature_repo.errors import BadData, Refused, ScorelakeError, Unavailable

Outcome = Literal["refused", "failed"]

_NEXT: Final = {
    BadData: "Correct the input; running it again changes nothing.",
    Refused: "What was in force stays. Look at why, and decide.",
    Unavailable: "The next run tries again; look if it goes on.",
}
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
_UNEXPECTED: Final = "Its place is in the log of the run. Run it again; if it comes again, report it with that log."


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run failed.

    Parameters
    ----------
    family
        Of the error, or of what kind one is that was not expected.
    said
        What happened.
    following
        What to do next, a sentence or two.
    is_recorded
        Whether the ledger has it already.
    """

    outcome: Outcome
    family: str
    said: str
    following: str
    is_recorded: bool = False

    @property
    def severity(self) -> Severity:
        """How bad it is: what a gate said no to is not broken."""
        return "warning" if self.outcome == "refused" else "error"

    @property
    def line(self) -> str:
        """All of it in one line.

        >>> Failure("failed", "BadData", "column text is missing", "Correct the input.").line
        'BadData: column text is missing. Correct the input.'
        """
        said = " ".join(self.said.split())
        return f"{self.family}: {said.rstrip('.')}. {self.following}"


def describe_failure(error: BaseException) -> Failure:
    """Describe what a run failed by; what a library says is left out, since it may quote a comment."""
    if not isinstance(error, ScorelakeError):
        said = f"an error that was not expected, {type(error).__name__}"
        return Failure("failed", "Failed", said, _UNEXPECTED)
    following = next((words for family, words in _NEXT.items() if isinstance(error, family)), _UNEXPECTED)
    outcome: Outcome = "refused" if isinstance(error, Refused) else "failed"
    return Failure(outcome, error.family, str(error), following, error.is_recorded)


def explain_denied(error: BaseException) -> BadData | None:
    """What it means that the system does not let this user at a file or folder; None if that is not the error."""
    if not isinstance(error, OSError) or error.errno not in _DENIED or error.filename is None:
        return None
    return BadData(
        f"cannot use {error.filename}: {error.strerror}. Whoever runs this needs the right to it: change its owner, "
        "or name another place, as SCORELAKE_HOME does"
    )
