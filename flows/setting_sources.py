"""Where settings come from: variables, and files in the lake's home. What they mean is in `settings`.

Of two that set the same, the earlier in this list wins: a variable, `scorelake.<environment>.env`, `scorelake.env`, and
for S3 the variables that Amazon's tools know.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from feature_repo.errors import BadData

PREFIX: Final = "SCORELAKE_"
ENVIRONMENTS: Final = ("dev", "staging", "prod")
_TESTS: Final = "SCORELAKE_TEST_"  # read by the tests, not by the program
_AMAZON: Final = {
    "s3_endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "s3_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "s3_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "s3_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "s3_session_token": ("AWS_SESSION_TOKEN",),
}


@dataclass(frozen=True, slots=True)
class Given:
    """The text that a setting was given, and where: the name of a variable's kind or of a file."""

    text: str
    source: str


def find_home() -> Path:
    """The lake's home: of all settings, the files in it cannot tell it."""
    return Path(os.environ.get(f"{PREFIX}HOME", ".scorelake")).expanduser().absolute()


def read_given(known: frozenset[str]) -> dict[str, Given]:
    """Read what is set, by setting; raises `BadData` if a name is unknown, or the environment is none.

    Parameters
    ----------
    known
        Names of settings, in lower case and without the prefix.
    """
    variables = {name: text for name, text in os.environ.items() if name.startswith(PREFIX)}
    found = {"environment": _check_names(variables, known)}
    home = find_home()
    files = {"scorelake.env": _read_file(home / "scorelake.env", known)}
    environment = found["environment"].get("environment") or files["scorelake.env"].get("environment")
    if environment is not None:
        _check_environment(environment)
        overlay = f"scorelake.{environment}.env"
        files = {overlay: _read_file(home / overlay, known), **files}
    amazon = {
        f"environment, {name}": {setting: os.environ[name]}
        for setting, names in _AMAZON.items()
        for name in reversed(names)
        if name in os.environ
    }
    given: dict[str, Given] = {}
    for source, values in reversed([*found.items(), *files.items(), *amazon.items()]):
        given |= {name: Given(text, source) for name, text in values.items()}
    return given


def _read_file(file: Path, known: frozenset[str]) -> dict[str, str]:
    if not file.exists():
        return {}
    try:
        values = {name: text or "" for name, text in dotenv_values(file, interpolate=False).items()}
    except (OSError, ValueError) as error:
        raise BadData(f"settings in {file} cannot be read: {error}") from error
    return _check_names(values, known, f" in {file}")


def _check_names(values: Mapping[str, str], known: frozenset[str], where: str = "") -> dict[str, str]:
    """The values by setting; raises `BadData` for names that are none."""
    names = {f"{PREFIX}{name.upper()}": name for name in known}
    unknown = sorted(name for name in values if name not in names and not name.startswith(_TESTS))
    if unknown:
        raise BadData(f"unknown settings {unknown}{where}; known are {sorted(names)}")
    return {names[name]: text for name, text in values.items() if name in names}


def _check_environment(name: str) -> None:
    if name not in ENVIRONMENTS:
        raise BadData(f"{PREFIX}ENVIRONMENT is one of {', '.join(ENVIRONMENTS)}, found {name!r}")
