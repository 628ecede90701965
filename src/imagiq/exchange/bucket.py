"""A bucket as a remote: any S3-compatible store, GCS or Azure, reached by outbound HTTPS only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url

from imagiq.errors import Misuse, Unreachable
from imagiq.exchange.remote import FEEDS, HEAD, OBJECT_LIMIT, Listed, check_folder, check_name

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

__all__ = ["BucketRemote"]

SIDE_BY_SIDE: Final = 8
POLL_S: Final = 5.0
HEAD_LIMIT: Final = 64
RETRY: Final[RetryConfig] = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
TIMES: Final[ClientConfig] = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "15min"}


class BucketRemote:
    """See :class:`imagiq.exchange.remote.Remote`.

    Args:
        store: The bucket, or a part of it.
        name: What it is called, without any secret.
        poll_s: How often it is asked for news.
    """

    def __init__(self, store: ObjectStore, name: str, *, poll_s: float = POLL_S) -> None:
        self._store = store
        self._name = name
        self._poll_s = poll_s
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="bucket")
        self._closed = Event()

    @classmethod
    def at(
        cls, url: str, *, config: Mapping[str, Any] | None = None, proxy: str | None = None, poll_s: float = POLL_S
    ) -> BucketRemote:
        """Return the bucket at a URL.

        Args:
            url: ``s3://bucket/path``, ``gs://bucket/path``, ``az://account/container/path``, or its https form.
            config: What the provider needs, such as ``endpoint``, ``region``, ``access_key_id``; see obstore.
            proxy: A URL such as ``http://user:password@proxy:3128``; None: none.
            poll_s: How often it is asked for news.

        Raises:
            Misuse: the URL or a setting is not known.
        """
        settings: dict[str, Any] = dict(config or {})
        options: dict[str, Any] = dict(TIMES)
        if proxy is not None:
            options["proxy_url"] = proxy
        if str(settings.get("endpoint", "")).startswith("http://"):
            options["allow_http"] = True
        make: Callable[..., ObjectStore] = from_url
        try:
            store = make(url, config=settings or None, client_options=options, retry_config=RETRY)
        except (BaseError, ValueError, TypeError) as error:
            raise Misuse(
                "bucket-url",
                f"The bucket cannot be reached by its address or settings ({type(error).__name__}).",
                "Give a URL such as s3://bucket/path, and the settings that its provider names.",
            ) from error
        return cls(store, url.partition("?")[0].rpartition("@")[2], poll_s=poll_s)

    @property
    def name(self) -> str:
        """The bucket's URL, without what follows a question mark."""
        return self._name

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Put an object where none is; the store itself decides who was first."""
        with self._explained():
            try:
                obstore.put(self._store, check_name(name), content, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError, FileExistsError):
                return False
            return True

    def replace(self, name: str, content: bytes) -> None:
        """Put an object in place of the one that is there."""
        with self._explained():
            obstore.put(self._store, check_name(name), content, use_multipart=False)

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return a part of an object; no more of it is read."""
        with self._explained():
            try:
                found = obstore.get(self._store, check_name(name))
                size = found.meta["size"]
                if start == 0 and size <= length:
                    return found.bytes().to_bytes()
                end = min(size, start + length)
                if end <= start:
                    return b""
                return obstore.get_range(self._store, name, start=start, end=end).to_bytes()
            except (NotFoundError, FileNotFoundError):
                return None

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is in a folder."""
        prefix = check_folder(folder)
        with self._explained():
            pages = list(obstore.list(self._store, prefix, offset=f"{prefix}/{after}" if after else None))
        found = [Listed(meta["path"][len(prefix) + 1 :], meta["size"]) for page in pages for meta in page]
        yield from sorted(listed for listed in found if listed.name > after)

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Read the heads, side by side, again and again."""
        waited_s = 0.0
        while (word := self._word(sites)) == since and waited_s < wait_s:
            pause_s = min(self._poll_s, wait_s - waited_s)
            if self._closed.wait(pause_s):
                break
            waited_s += pause_s
        return word

    def _word(self, sites: Sequence[str]) -> str:
        heads = self._pool.map(lambda site: self.get(f"{site}/{FEEDS}/{HEAD}", length=HEAD_LIMIT), sites)
        return hashlib.sha256(b"\n".join(head or b"-" for head in heads)).hexdigest()

    def close(self) -> None:
        """End all waiting, and the threads."""
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the store's errors into words; their own may hold addresses with secrets in them."""
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            raise Unreachable(
                "remote-refused", f"The bucket {self._name} refuses this site.", "Check its keys and its rights."
            ) from error
        except (BaseError, OSError) as error:
            raise Unreachable(
                "remote-away",
                f"The bucket {self._name} does not do what was asked ({type(error).__name__}).",
                "Check the address, the proxy and the connection.",
            ) from error
