"""A person's word on a version that passed the gate: the run pauses until somebody answers in the Prefect UI.

What an answer means for the verdict is said here; that a decision on a champion of yesterday is not taken, in
`training.judgement`.
"""

from datetime import timedelta
from typing import Final, Literal

from prefect import pause_flow_run
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field

from flows.progress import report_progress
from training.gate import Check, Verdict
from training.judgement import Ask

_POLL_SECONDS: Final = 5


class Answer(RunInput):
    """What a person is asked for; the decision has no default, so that a mere click on "resume" is refused."""

    decision: Literal["promote", "reject"]
    words: str = Field("", description="Why; they stand in the ledger.", max_length=1_000)


def build_ask(model: str, *, wait: timedelta) -> Ask:
    """Build the question about a version of a model; nobody answering for so long counts as a rejection."""

    def ask(version: str, verdict: Verdict) -> Check:
        report_progress(f"waiting for a person at {flow_run.ui_url}", 0)
        asked = Answer.with_initial_data(description=build_question(model, version, verdict))
        seconds = max(1, round(wait.total_seconds()))
        try:
            answer = pause_flow_run(wait_for_input=asked, timeout=seconds, poll_interval=_POLL_SECONDS)
        except FlowPauseTimeout:
            return build_check(None, wait)
        return build_check(answer, wait)

    return ask


def build_question(model: str, version: str, verdict: Verdict) -> str:
    """Write what the person reads, in Markdown: the version and every check of the gate."""
    sentences = "\n".join(f"- {sentence}" for sentence in verdict.sentences)
    return f"**{model} version {version} passed the gate. Shall it be champion?**\n\n{sentences}\n"


def build_check(answer: Answer | None, wait: timedelta) -> Check:
    """Turn an answer, or none, into the last check of a verdict.

    >>> build_check(Answer(decision="reject", words="Not before the holidays."), timedelta(hours=1)).sentence
    'Rejected by a person: Not before the holidays.'
    """
    if answer is None:
        return Check("approval", is_passed=False, sentence=f"Nobody answered within {wait.total_seconds() / 3600:g} h.")
    is_passed = answer.decision == "promote"
    said = "Approved" if is_passed else "Rejected"
    words = f": {answer.words.strip()}" if answer.words.strip() else "."
    return Check("approval", is_passed=is_passed, sentence=f"{said} by a person{words}")
