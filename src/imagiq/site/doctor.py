"""The doctor: looks at all that a site stands on, and says what is wrong and what to do."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.clock import Clock
from imagiq.errors import ImagiqError
from imagiq.exchange import Keyring
from imagiq.site.failures import newest_report
from imagiq.site.founding import my_key
from imagiq.site.freshness import ADVICE, in_words, long_unheard, unread, unread_in_words
from imagiq.site.home import Home, Seat
from imagiq.site.probing import probe
from imagiq.site.sources import SiteCases
from imagiq.site.toml import read_toml

__all__ = ["Finding", "examine"]

LEAST_FREE_BYTES: Final = 2 * 2**30
BEHIND: Final = timedelta(minutes=10)
AHEAD: Final = timedelta(days=400)
DEVICE_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came of one check.

    Attributes:
        check: ``clock``, ``disk``, ``keys``, ``repository``, ``remote``, ``news``, ``data``, ``gpu`` or
            ``failures``.
        about: Which remote or federation; "" for the site.
        hop: Of a remote, the step.
        ok: Whether all is well.
        what: What was found.
        advice: What to do; "" if nothing needs to be.
    """

    check: str
    ok: bool
    what: str
    about: str = ""
    hop: str = ""
    advice: str = ""


def examine(home: Home, clock: Clock) -> Iterator[Finding]:
    """Yield what is found, one check after the other. Nothing is changed, and no check keeps the others from being made."""
    yield from _guarded("settings", "", lambda: _settings(home))
    yield from _guarded("keys", "", lambda: _site_key(home))
    yield from _disk(home)
    newest: list[str] = []
    for seat in home.seats():
        yield from _guarded("repository", seat.name, lambda seat=seat: _seat(home, seat, clock, newest))  # type: ignore[misc]
    yield _clock(clock, newest)
    yield from _guarded("data", "", lambda: _data(home))
    yield from _guarded("gpu", "", lambda: _gpu(home))
    for seat in home.seats():
        yield from _failures(seat)


def _guarded(check: str, about: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; that it cannot be made is a finding, too."""
    try:
        yield from look()
    except ImagiqError as error:
        yield Finding(check=check, about=about, ok=False, what=f"{error.code}: {error.what}", advice=error.advice)


def _settings(home: Home) -> Iterator[Finding]:
    name = home.settings.name
    rules = len(home.policy.rules)
    yield Finding(check="settings", ok=True, what=f"The site is called '{name}'; its policy has {rules} rules.")


def _site_key(home: Home) -> Iterator[Finding]:
    yield Finding(
        check="keys", ok=True, what=f"The site's key is {home.key().public[:12]}, and only its owner reads it."
    )


def _disk(home: Home) -> Iterator[Finding]:
    places = {home.path, *(seat.path for seat in home.seats())}
    for place in sorted(places):
        free = shutil.disk_usage(place).free
        writable = os.access(place, os.W_OK | os.X_OK)
        about = "" if place == home.path else place.name
        if not writable:
            what, advice = f"{place} cannot be written.", "Permit it, or mount it writable."
        else:
            what = f"{free / 1e9:.1f} GB are free."
            advice = "" if free >= LEAST_FREE_BYTES else "Make room: nothing is lost, but nothing new fits."
        yield Finding(check="disk", about=about, ok=not advice, what=what, advice=advice)


def _seat(home: Home, seat: Seat, clock: Clock, newest: list[str]) -> Iterator[Finding]:
    bench = open_repository(seat.path, clock=clock)
    newest += [entry.commit.created for entry in bench.history]
    yield Finding(check="repository", about=seat.name, ok=True, what=f"{len(bench.history)} commits can be read.")
    yield from _guarded("keys", seat.name, lambda: _membership(home, seat, bench))
    yield from _guarded("remote", seat.name, lambda: _remotes(seat, bench))
    for unheard in long_unheard(bench, clock.now_s()):
        yield Finding(check="news", about=seat.name, ok=False, what=in_words(unheard), advice=ADVICE)
    for one in unread(bench):
        yield Finding(check="news", about=seat.name, ok=False, what=unread_in_words(one), advice=one.advice)


def _membership(home: Home, seat: Seat, bench: Bench) -> Iterator[Finding]:
    key = my_key(seat, bench)
    charter = bench.standing.charter
    seat.mark(bench.founding.digest).read()
    forks = [feed for feed in bench.history.forks if feed in bench.history.feeds_of(key.public)]
    if forks:
        what = "The key of a feed of this site was used twice: a clone of it runs somewhere, or ran."
        yield Finding(
            check="keys", about=seat.name, ok=False, what=what, advice="Find it, and stop it; this site goes on."
        )
    if key.public not in charter.names_by_site_key:
        advice = "If it has asked to join, sync and wait until the voters have approved; else ask a member."
        yield Finding(check="keys", about=seat.name, ok=False, what="No charter names this site's key.", advice=advice)
    elif home.key().public != key.public:
        what = "The site's new key is in no charter yet; the one before is in use."
        yield Finding(check="keys", about=seat.name, ok=True, what=what)
    else:
        what = f"Version {charter.version} of the charter names this site '{charter.names_by_site_key[key.public]}'."
        yield Finding(check="keys", about=seat.name, ok=True, what=what)


def _remotes(seat: Seat, bench: Bench) -> Iterator[Finding]:
    key = my_key(seat, bench)
    ring = Keyring.open(bench.store, key)
    pseudonyms = sorted(ring.sites(bench.standing))
    remotes = seat.remotes()
    if not remotes:
        advice = "Add one with `imagiq remote add`, or exchange by `imagiq bundle`."
        yield Finding(check="remote", about=seat.name, ok=False, what="There is no remote.", advice=advice)
    for settings in remotes:
        own = ring.federation.pseudonym(key.public)
        for hop in probe(settings, key, pseudonyms, own=own, base=seat.path):
            yield Finding(
                check="remote", about=settings.name, hop=hop.name, ok=hop.ok, what=hop.what, advice=hop.advice
            )


def _clock(clock: Clock, created: list[str]) -> Finding:
    """Compare the clock with what others' commits say. Nothing rests on it but what people read."""
    now = clock.utc()
    advice = "Set the clock, or let NTP do it. What was written stays valid."
    latest = max(filter(_is_moment, created), default="")
    if latest and _moment(latest) > _moment(now) + BEHIND:
        what = f"It is {now} here, and a commit is from {latest}: this clock is late, or another site's is early."
        return Finding(check="clock", ok=False, what=what, advice=advice)
    if latest and _moment(latest) < _moment(now) - AHEAD:
        what = f"It is {now} here, and the newest commit is from {latest}: more than a year before."
        return Finding(check="clock", ok=False, what=what, advice=advice)
    return Finding(check="clock", ok=True, what=f"It is {now}.")


def _is_moment(text: str) -> bool:
    try:
        _moment(text)
    except ValueError:
        return False
    return True


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - all are in UTC


def _data(home: Home) -> Iterator[Finding]:
    if not read_toml(home.settings.path).table("data"):
        what = "site.toml names no cases: this site merges and checks, and trains nothing."
        yield Finding(check="data", ok=True, what=what)
        return
    cases: SiteCases = home.settings.cases()
    what = (
        f"{len(cases.training)} cases to train on, {len(cases.held_back)} held back, {cases.dropped} left out for gaps."
    )
    advice = "" if len(cases.training) else "Name cases that can be read, in [data] of site.toml."
    yield Finding(check="data", ok=not advice, what=what, advice=advice)
    for warning in cases.warnings:
        yield Finding(check="data", ok=False, what=warning, advice="Look at the data before others build on it.")


def _gpu(home: Home) -> Iterator[Finding]:
    """Ask a process of its own what PyTorch finds: this one never loads it."""
    wanted = home.settings.resources.device
    if wanted == "cpu":
        yield Finding(check="gpu", ok=True, what="site.toml says device = 'cpu': no GPU is looked for.")
        return
    if importlib.util.find_spec("torch") is None:
        yield Finding(check="gpu", ok=True, what="PyTorch is not installed: networks cannot be trained, the rest can.")
        return
    try:
        done = subprocess.run(
            [sys.executable, "-m", "imagiq.learning.devices"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEVICE_S,
            check=False,
        )
        found = json.loads(done.stdout)
        version, gpus = str(found["torch"]), [str(name) for name in found["gpus"]]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        what, advice = "PyTorch is installed and cannot be loaded.", "Reinstall it: pip install 'imagiq[learning]'."
        yield Finding(check="gpu", ok=False, what=what, advice=advice)
        return
    shown = f"PyTorch {version} finds {', '.join(gpus) or 'no GPU'}; site.toml says device = '{wanted}'."
    number = int(wanted.partition(":")[2] or 0) if wanted.startswith("cuda") else -1
    advice = "" if number < len(gpus) else "Check the driver, or set device = 'auto' or 'cpu' in site.toml."
    yield Finding(check="gpu", ok=not advice, what=shown, advice=advice)


def _failures(seat: Seat) -> Iterator[Finding]:
    report = newest_report(seat.path)
    if report is not None:
        what = f"The last action that failed left a report: {report}."
        advice = "It names no path, patient or value: read it, and hand it on to who helps you."
        yield Finding(check="failures", about=seat.name, ok=True, what=what, advice=advice)
