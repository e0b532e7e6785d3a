"""What a scoring run leaves on disk while it works: its plan, from which a run after a kill goes on.

Where files wait and when they go belongs here; what a plan says, in `plan`.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from feature_repo.lake import Lake
from scoring.plan import ScorePlan, locate_staged

if TYPE_CHECKING:
    import duckdb

    from scoring.owed import Owed, ScoreRequest

_PLAN = "plan.json"


def save_plan(lake: Lake, plan: ScorePlan) -> None:
    """Write the plan into its staging folder; a kill leaves it whole or not there."""
    lake.storage.write(f"{locate_staged(lake, plan.run_id)}/{_PLAN}", _build_adapter().dump_json(plan))


def read_plan(lake: Lake, run_id: str) -> ScorePlan | None:
    """Read the plan that a run left in staging, None if it left none that this release can read."""
    from pydantic import ValidationError  # noqa: PLC0415 - workers import plans and read none

    try:
        plan: ScorePlan = _build_adapter().validate_json(lake.storage.read(f"{locate_staged(lake, run_id)}/{_PLAN}"))
    except (FileNotFoundError, ValidationError):
        return None  # of another release: what it would have done is owed as before
    return plan


def find_interrupted(connection: "duckdb.DuckDBPyConnection", lake: Lake, owed: "Owed") -> ScorePlan | None:
    """The plan that a killed run left, if what it would publish is still owed to the same request."""
    plans = (read_plan(lake, run_id) for run_id in list_staged(lake, owed.request))
    return next((plan for plan in plans if plan and is_owed(connection, plan, owed)), None)


def is_owed(connection: "duckdb.DuckDBPyConnection", plan: ScorePlan, owed: "Owed") -> bool:
    """Whether a plan was made for what is owed now, and never published."""
    if (plan.request, plan.watermark) != (owed.request, owed.watermark):
        return False
    return connection.execute("select 1 from ops.runs where run_id = ?", [plan.run_id]).fetchone() is None


def list_staged(lake: Lake, request: "ScoreRequest") -> list[str]:
    """The runs for a model's role that have staged something and were not published, by id."""
    folders = lake.storage.list_folders(lake.storage.staging)
    return [name for name in folders if name.startswith(f"{name_run(request)}-")]


def name_run(request: "ScoreRequest") -> str:
    """What ids of runs for a model's role begin with."""
    kind = "score" if request.role == "production" else request.role
    return f"{kind}-{request.model}"


def clear_staging(lake: Lake, plan: ScorePlan) -> None:
    """Remove what dead runs for the same role left, apart from the plan's own folder. The caller holds the lease."""
    for run_id in list_staged(lake, plan.request):
        if run_id != plan.run_id:
            lake.storage.delete(locate_staged(lake, run_id))


@cache
def _build_adapter() -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - workers import plans and read none

    return TypeAdapter(ScorePlan)
