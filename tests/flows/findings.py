"""What the doctor found, in short."""

from flows.checkup import Finding, State


def name_states(findings: dict[str, Finding]) -> dict[str, State]:
    """All that is not well, by check."""
    return {name: one.state for name, one in findings.items() if one.state != "well"}
