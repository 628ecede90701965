"""A round without training between four real sites, and how soon a new commit is noticed: over a folder, https, a bucket."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from benchmarks.budgets.bare_rounds import bare_round_s, piped_round_s
from benchmarks.budgets.towns import NAMES, commits_at, copies, known_at_s, open_study, still_town, until, up
from benchmarks.table import Row
from imagiq.exchange.bucket import POLL_S
from imagiq.federation.notices import tag_recipe
from imagiq.objects import Parent
from imagiq.site.home import Home
from tests.exchange.weed import weed
from tests.site.processes import Town

__all__ = ["measure"]

TENSORS, MODEL_BYTES = 10, 10_000_000
MERGE = ": merge "
MOST = {"folder": 1.5, "https": 2.5}
FOLDER_MS, HTTPS_S = 50, 1.0


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure both in the same towns; if quick, over https alone."""
    size, rounds, turns, times = (10**5, 2, 1, 2) if quick else (MODEL_BYTES, 5, 3, 20)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, names = Path(name), NAMES[:2] if quick else NAMES
        overs = ["https"] if quick else list(MOST)
        towns = {over: stack.enter_context(still_town(folder / over, names)) for over in overs}
        towns["https"].relay()
        for town in towns.values():
            up(town)
        rows = [
            *_rounds(folder, towns, rounds=rounds, turns=turns, size=size),
            _notice_over_https(towns["https"], times),
        ]
        if not quick:
            rows += [_notice_in_a_folder(towns["folder"], times), _notice_in_a_bucket(folder, stack)]
        return rows


def _rounds(folder: Path, towns: dict[str, Town], *, rounds: int, turns: int, size: int) -> Sequence[Row]:
    """Let bare processes and towns take turns."""
    sites = len(towns["https"].names)
    found: dict[str, list[float]] = {over: [] for over in ("bare", "pipes", *towns)}
    moved = 0.0
    for turn in range(turns):
        bare = folder / f"bare-{turn}"
        bare.mkdir()
        found["bare"].append(bare_round_s(bare, sites=sites, size=size, rounds=rounds))
        found["pipes"].append(piped_round_s(sites=sites, size=size, rounds=rounds))
        for over, town in towns.items():
            before = copies(town)
            found[over].append(_round_s(town, f"rounds {turn}", rounds=rounds, size=size))
            first = sites + 1  # the first model's: at every home, and where they exchange
            moved = ((copies(town) - before) / size - first) / (rounds + 1)
    line_s, pipes_s = (statistics.median(found[kind]) for kind in ("bare", "pipes"))
    return [
        Row(
            what=f"a round of {sites} processes, {size / 1e6:g} MB, over {'a folder' if over == 'folder' else over}",
            measured=statistics.median(found[over]),
            unit="s",
            line="bare copies",
            limit=line_s,
            budget=f"{most} x line",
            most=most * line_s,
            note=f"Everything but training, {moved:.0f} copies a round; from {min(found[over]):.2f} to {max(found[over]):.2f} s in "
            f"{turns} turns, bare from {min(found['bare']):.2f} to {max(found['bare']):.2f} s. "
            f"FedAvg over bare pipes, which keeps nothing: {pipes_s:.2f} s.",
        )
        for over, most in MOST.items()
        if over in towns
    ]


def _round_s(town: Town, title: str, *, rounds: int, size: int) -> float:
    """Return the seconds of a round: from the first merge of a study to its last."""
    server = town.names[0]
    before = set(town.made(server, "merge").get(server, ()))
    told = town.log(server).count(MERGE)
    open_study(town, title, strategy="fedavg", steps=rounds + 1, tensors=TENSORS, values=size // 4 // TENSORS)
    until(f"'{title}' is merged", lambda: town.log(server).count(MERGE) - told > rounds)  # this takes no time from them
    until(f"'{title}' is done", lambda: town.is_done(title=title))
    merges = [digest for digest in town.made(server, "merge")[server] if digest not in before]
    assert len(merges) == rounds + 1
    at_s = sorted(known_at_s(town, server, merge) for merge in merges)
    return (at_s[-1] - at_s[0]) / rounds


# ------------------------------------------------------------------------------------------------------- notices


# Each lets the first site write a commit now and then, while all are idle, and looks when the second one has it.


def _notice_in_a_folder(town: Town, times: int) -> Row:
    found = [_noticed(town, pause_s=0.3) for _ in range(times)]
    since_head_ms = [1000 * noticed.since_head_s for noticed in found]
    return Row(
        what="a new commit over a folder is known elsewhere after",
        measured=statistics.median(since_head_ms),
        unit="ms",
        budget=f"{FOLDER_MS} ms",
        most=FOLDER_MS,
        note=f"Since it was there, the median of {times}; the longest {max(since_head_ms):.0f} ms. {_words(found)}",
    )


def _notice_over_https(town: Town, times: int) -> Row:
    found = [_noticed(town, pause_s=0.3) for _ in range(times)]
    return Row(
        what="a new commit over https is known elsewhere after",
        measured=max(noticed.since_commit_s for noticed in found),
        unit="s",
        budget=f"under {HTTPS_S} s",
        most=HTTPS_S,
        note=f"Since its author wrote it, the longest of {times}. {_words(found)}",
    )


def _notice_in_a_bucket(folder: Path, stack: ExitStack) -> Row:
    town = stack.enter_context(still_town(folder / "bucket", NAMES[:2]))
    (folder / "weed").mkdir()
    endpoint = stack.enter_context(weed(folder / "weed"))
    config = {"endpoint": endpoint, "access_key_id": "x", "secret_access_key": "y", "region": "us-east-1"}
    given = [f"--config={key}={value}" for key, value in config.items()]
    for name in town.names:
        town.homes.at(name, "remote", "add", "bucket", "bucket", "s3://relay/notice", *given)
        town.homes.at(name, "remote", "remove", "share")
    up(town)
    found = [_noticed(town, pause_s=POLL_S * number / 8) for number in range(8)]
    return Row(
        what="a new commit in a bucket is known elsewhere after",
        measured=max(noticed.since_commit_s for noticed in found),
        unit="s",
        budget=f"a poll interval and {HTTPS_S} s to write and read it: {POLL_S + HTTPS_S} s",
        most=POLL_S + HTTPS_S,
        note=f"Since its author wrote it, the longest of {len(found)}. {_words(found)}",
    )


class Noticed(NamedTuple):
    """How long it took until another site knew a commit: since its author wrote it, and since it was on the remote."""

    since_commit_s: float
    since_head_s: float


def _noticed(town: Town, *, pause_s: float) -> Noticed:
    author, other = town.names[:2]
    before = commits_at(town, author)
    time.sleep(pause_s)
    (seat,) = Home(town.homes[author]).seats()
    seat.decisions.order(tag_recipe(token_hex(4), release=False), parents=[Parent("input", min(before))])
    until("the other knows it", lambda: commits_at(town, other) - before)
    (commit,) = commits_at(town, other) - before
    known_s = known_at_s(town, other, commit)
    heads = [head.stat().st_ctime for head in town.homes.folder.glob("*/*/feeds/head")]
    return Noticed(known_s - known_at_s(town, author, commit), known_s - max(heads, default=known_s))


def _words(found: Sequence[Noticed]) -> str:
    since_commit_s = [noticed.since_commit_s for noticed in found]
    return f"From one disk to the other: median {statistics.median(since_commit_s):.3f} s."
