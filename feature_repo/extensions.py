"""DuckDB's extensions, in the wheels that bring them."""

from importlib.util import find_spec
from pathlib import Path

import duckdb

from feature_repo.errors import Unavailable


def find_extension(name: str) -> Path:
    """Path of an extension inside its wheel; nothing is ever downloaded, and DuckDB verifies the signature.

    Raises `Unavailable` if the wheel is not installed, or of another version than DuckDB.
    """
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        raise Unavailable(f"the package duckdb-extension-{name.replace('_', '-')} is not installed")
    version = f"v{duckdb.__version__}"
    file = Path(spec.origin).parent / "extensions" / version / f"{name}.duckdb_extension"
    if not file.exists():
        raise Unavailable(f"duckdb is {duckdb.__version__}, but {name} is built for another version: {file.parent}")
    return file
