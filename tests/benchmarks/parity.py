"""Comments scored by the batch and by the service, side by side: `python -m tests.benchmarks.parity HOME [ROWS]`.

HOME is a lake with champions whose online store was filled; it is only read.
"""

import sys
from pathlib import Path

from feature_repo.lake import Lake
from tests.scoring.parity import compare_ways
from tests.scoring.serving import serve
from training.spec import list_specs

_MOST = 1e-6


def main() -> None:
    home, *rest = sys.argv[1:]
    lake, rows = Lake(Path(home).absolute()), int(rest[0]) if rest else 10_000
    with serve(lake) as client:
        for model in list_specs():
            found = compare_ways(lake, client.http, model, rows=rows)
            line = f"{model}: {found.rows:,} comments of {found.channels:,} channels, "
            print(f"{line}greatest difference of a probability {found.greatest_difference:.1e}")  # noqa: T201 - its result
            if found.greatest_difference > _MOST:
                raise SystemExit(f"more than {_MOST}")


if __name__ == "__main__":
    main()
