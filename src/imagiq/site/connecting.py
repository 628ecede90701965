"""From what an owner has set to a remote that can be asked."""

from __future__ import annotations

from pathlib import Path
from secrets import SystemRandom

from imagiq.errors import Unreachable
from imagiq.exchange import FolderRemote, PatientRemote, Remote
from imagiq.keys import SiteKey
from imagiq.site.settings import RemoteSettings

__all__ = ["connect", "connect_once"]


def connect(settings: RemoteSettings, key: SiteKey, *, base: Path) -> Remote:
    """Return a remote that is asked again when it fails for a moment; see :func:`connect_once`."""
    return PatientRemote(connect_once(settings, key, base=base), SystemRandom().random)


def connect_once(settings: RemoteSettings, key: SiteKey, *, base: Path) -> Remote:
    """Return a remote. Buckets and https are loaded only where they are used.

    Args:
        settings: What the owner has set.
        key: The site's key: a listener knows the site by it.
        base: What the path of a folder is relative to.

    Raises:
        Misuse: an address or setting cannot be.
        Unreachable: a folder is not there.
    """
    proxy = settings.proxy or None
    if settings.kind == "bucket":
        from imagiq.exchange.bucket import BucketRemote  # noqa: PLC0415 - it loads much

        return BucketRemote.at(settings.address, config=settings.config, proxy=proxy)
    if settings.kind == "https":
        from imagiq.exchange.https import HttpsRemote  # noqa: PLC0415 - it loads much

        return HttpsRemote(settings.address, key, settings.key, proxy=proxy)
    folder = base / settings.address
    try:
        is_there = folder.is_dir()
    except OSError as error:
        raise Unreachable(
            "remote-away", f"The folder {folder}: {error.strerror}.", "Check its name and rights."
        ) from error
    if not is_there:
        raise Unreachable(
            "remote-away", f"The folder {folder} is not there.", "Check that it is connected, or make it."
        )
    return FolderRemote(folder)
