"""Public draws: orders that follow from a study's seed, so that everybody draws alike and anybody can check."""

from __future__ import annotations

from functools import lru_cache

from imagiq.objects import digest_of

__all__ = ["drawn"]


@lru_cache(maxsize=4096)
def drawn(sites: tuple[str, ...], *salt: str | int) -> tuple[str, ...]:
    """Return sites in a drawn order: by the SHA-256 of the salt and the site's name, one a line.

    It is remembered, since a site decides often between two steps.

    Args:
        sites: Their names.
        salt: What the draw is for: the study's seed, the round or step, whose draw it is.
    """
    before = "".join(f"{part}\n" for part in salt)
    return tuple(sorted(sites, key=lambda site: digest_of(f"{before}{site}".encode())))
