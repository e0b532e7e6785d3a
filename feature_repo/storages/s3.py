"""Files in a bucket that speaks S3, for several hosts. The only module that knows boto3.

An object appears whole or not at all, and there are no folders: nothing is left of one when its last file goes.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from feature_repo.errors import BadData, Unavailable
from feature_repo.storages import StoredFile

_SCHEME: Final = "s3://"
_FEWEST_LETTERS: Final = 3
_MOST_AT_ONCE: Final = 1_000  # keys that one request deletes
_GONE: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_UNCHANGED: Final = frozenset({"304", "NotModified"})
# What a person must put right; all else may be better in a minute.
_WRONG: Final = frozenset({"NoSuchBucket", "AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place in a bucket, and how to get in.

    Parameters
    ----------
    address
        s3://bucket/prefix; everything of the lake lies below it.
    endpoint
        Address of the server, such as "http://10.0.0.5:9000"; Amazon's if None.
    region
        As the server calls it.
    key_id, secret_key, session_token
        The key; what boto3 finds by itself (a role of the machine, a profile) if None.
    ca_file
        Authorities that sign the server's certificate, PEM; those of the system if None.
    """

    address: str
    endpoint: str | None = None
    region: str = "us-east-1"
    key_id: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def __post_init__(self) -> None:
        name, _, prefix = self.address.removeprefix(_SCHEME).partition("/")
        if not self.address.startswith(_SCHEME) or len(name) < _FEWEST_LETTERS or not prefix.strip("/"):
            raise BadData(f"the lake's files lie at s3://bucket/prefix, found {self.address!r}")
        if self.endpoint and urlsplit(self.endpoint).scheme not in {"http", "https"}:
            raise BadData(f"an endpoint is http://host:port or https://host, found {self.endpoint!r}")


@dataclass(frozen=True, slots=True)
class S3Storage:
    """A bucket; `cache` is a folder of this host for files that are read again and again."""

    extensions: ClassVar[tuple[str, ...]] = ("httpfs",)

    bucket: Bucket
    cache: Path

    @property
    def data(self) -> str:
        """Folder of the Parquet files of the tables."""
        return f"{self._root}/data"

    @property
    def staging(self) -> str:
        """Folder of what waits to be published."""
        return f"{self._root}/staging"

    @property
    def artifacts(self) -> str:
        """Folder of the files of models."""
        return f"{self._root}/mlflow/artifacts"

    @property
    def _root(self) -> str:
        return self.bucket.address.rstrip("/")

    def prepare(self) -> None:
        """Check that the bucket is there; it is made by whoever runs the server."""
        name = _split(self._root)[0]
        try:
            with _translate(self._root):
                _open_client(self.bucket).head_bucket(Bucket=name)
        except FileNotFoundError:
            raise BadData(f"there is no bucket {name!r} at {self.bucket.endpoint or 'Amazon'}; make it") from None

    def list_secrets(self) -> tuple[str, ...]:
        """The key, with the server that it is for, and whom it trusts."""
        from boto3 import Session  # noqa: PLC0415 - of the optional extra

        bucket = self.bucket
        key = (bucket.key_id, bucket.secret_key, bucket.session_token)
        if bucket.key_id is None and (found := Session().get_credentials()) is not None:
            key = tuple(found.get_frozen_credentials())[:3]
        at = urlsplit(bucket.endpoint or "")
        words = {
            "type": "s3",
            "scope": self._root,
            "region": bucket.region,
            **{name: value for name, value in zip(("key_id", "secret", "session_token"), key, strict=True) if value},
            **({"endpoint": at.netloc, "url_style": "path", "use_ssl": str(at.scheme == "https")} if at.netloc else {}),
        }
        said = ", ".join(f"{name} {_quote(value)}" for name, value in words.items())
        secret = f"create or replace secret lake_files ({said})"
        trusted = (f"set global ca_cert_file = {_quote(bucket.ca_file)}",) if bucket.ca_file else ()
        return (secret, "set global enable_server_cert_verification = true", *trusted)

    def list_folders(self, folder: str) -> list[str]:
        """Names of the folders directly below one, sorted; none if it is not there."""
        name, key = _split(f"{folder}/")
        with _translate(folder):
            pages = (
                _open_client(self.bucket)
                .get_paginator("list_objects_v2")
                .paginate(Bucket=name, Prefix=key, Delimiter="/")
            )
            found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]
        return sorted(one.removeprefix(key).rstrip("/") for one in found)

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """Every file below a folder, however deep."""
        name, key = _split(f"{folder}/")
        with _translate(folder):
            pages = _open_client(self.bucket).get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=key)
            for page in pages:
                for one in page.get("Contents", ()):
                    yield StoredFile(f"{_SCHEME}{name}/{one['Key']}", one["Size"], one["LastModified"])

    def measure(self, file: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        name, key = _split(file)
        try:
            with _translate(file):
                return int(_open_client(self.bucket).head_object(Bucket=name, Key=key)["ContentLength"])
        except FileNotFoundError:
            return None

    def read(self, file: str) -> bytes:
        """Read a file; raises `FileNotFoundError`."""
        name, key = _split(file)
        with _translate(file):
            content: bytes = _open_client(self.bucket).get_object(Bucket=name, Key=key)["Body"].read()
        return content

    def write(self, file: str, content: bytes) -> None:
        """Write a file whole or not at all, in the place of what was there."""
        name, key = _split(file)
        with _translate(file):
            _open_client(self.bucket).put_object(Bucket=name, Key=key, Body=content)

    @contextmanager
    def open_draft(self, file: str) -> Iterator[Path]:
        """A file of this host that is sent to the bucket at the end."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.cache, prefix="draft-") as folder:
            draft = Path(folder) / file.rpartition("/")[2]
            yield draft
            self.move(str(draft), file)

    def fetch(self, file: str) -> Path:
        """A copy on this host, brought anew if the file is another by now; raises `FileNotFoundError`."""
        name, key = _split(file)
        copy = self.cache / name / key
        tag = copy.with_name(f"{copy.name}.etag")
        known = {"IfNoneMatch": tag.read_text()} if tag.exists() and copy.exists() else {}
        try:
            with _translate(file):
                found = _open_client(self.bucket).get_object(Bucket=name, Key=key, **known)
                content = found["Body"].read()
        except _UnchangedError:
            return copy
        copy.parent.mkdir(parents=True, exist_ok=True)
        # The tag goes first and comes last: between a copy and its tag a process may be killed.
        tag.unlink(missing_ok=True)
        for target, text in ((copy, content), (tag, found["ETag"].encode())):
            draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
            draft.write_bytes(text)
            draft.replace(target)
        return copy

    def copy_out(self, file: str, target: Path) -> None:
        """Copy a file to a path of this host, however large; raises `FileNotFoundError`."""
        name, key = _split(file)
        with _translate(file):
            _open_client(self.bucket).download_file(name, key, str(target))

    def move(self, source: str, target: str) -> str:
        """Send a file of this host, or copy one of the bucket within it, and delete the source; returns the target."""
        name, key = _split(target)
        client = _open_client(self.bucket)
        with _translate(target):
            if source.startswith(_SCHEME):
                origin = dict(zip(("Bucket", "Key"), _split(source), strict=True))
                client.copy(origin, name, key)
                client.delete_object(**origin)
            else:
                client.upload_file(source, name, key)
                Path(source).unlink()
        return target

    def delete(self, address: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing if it is not there."""
        name, key = _split(address)
        self._delete_keys(name, [key])
        self._delete_keys(name, (_split(one.address)[1] for one in self.list_files(address)))

    def _delete_keys(self, name: str, keys: Iterable[str]) -> None:
        with _translate(name):
            left = list(keys)
            for some in (left[at : at + _MOST_AT_ONCE] for at in range(0, len(left), _MOST_AT_ONCE)):
                _open_client(self.bucket).delete_objects(
                    Bucket=name, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )


class _UnchangedError(Exception):
    """The file is the one that is known."""


@lru_cache(maxsize=4)
def _open_client(bucket: Bucket) -> Any:
    try:
        import boto3  # noqa: PLC0415 - of the optional extra
        from botocore.config import Config  # noqa: PLC0415
    except ImportError as error:
        raise Unavailable("files on S3 need the team extra: `pip install 'scorelake[team]'`") from error
    config = Config(
        retries={"mode": "standard", "max_attempts": 6},
        connect_timeout=5,
        read_timeout=60,
        s3={"addressing_style": "path" if bucket.endpoint else "auto"},
        # Checksums that only Amazon understands are sent where they are asked for.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.key_id,
        aws_secret_access_key=bucket.secret_key,
        aws_session_token=bucket.session_token,
        verify=bucket.ca_file,
        config=config,
    )


@contextmanager
def _translate(address: str) -> Iterator[None]:
    """Give errors of boto3 our names."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 - of the optional extra
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in _UNCHANGED:
            raise _UnchangedError from error
        if code in _GONE:
            raise FileNotFoundError(address) from error
        if code in _WRONG:
            raise BadData(f"the server of {address} says {code}: check bucket, key and endpoint") from error
        raise Unavailable(f"the server of {address} says: {error}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise Unavailable(f"the server of {address} does not answer: {error}") from error


def _split(address: str) -> tuple[str, str]:
    """Name of the bucket and key."""
    name, _, key = address.removeprefix(_SCHEME).partition("/")
    return name, key


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
