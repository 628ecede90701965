"""A site that was away for long comes back: how soon it knows all commits, and holds the model that it needs, over https."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.budgets.towns import NAMES, blobs_at, complete, known_at_s, open_study, still_town, until, up
from benchmarks.still import Still
from benchmarks.table import Row
from imagiq.federation import Named, study_recipe
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import Digest, Parent, Recipe
from imagiq.site.home import Home
from imagiq.site.session import Session, open_seat
from imagiq.site.syncing import sync_seat
from tests.site.processes import Town

__all__ = ["measure"]

MOST_S = 15
COMMITS, MODEL_BYTES, TENSOR_BYTES = 1_000, 100_000_000, 1_000_000
TITLE = "wanted"


def measure(*, quick: bool) -> Sequence[Row]:
    """Let all but the last site write, over a relay that is a process of its own; then start the last one."""
    commits, size = (20, 10**6) if quick else (COMMITS, MODEL_BYTES)
    names = NAMES[:2] if quick else NAMES
    with tempfile.TemporaryDirectory() as name, still_town(Path(name) / "town", names) as town:
        town.relay()
        _write(town, names[:-1], commits, syncs=1 if quick else 3)
        tensors = size // TENSOR_BYTES
        open_study(town, TITLE, strategy="fedavg", steps=1, tensors=tensors, values=TENSOR_BYTES // 4)
        for site in names[:-1]:
            town.homes.at(site, "sync")
        return [_row(town, names[-1], commits, size)]


def _write(town: Town, sites: Sequence[str], commits: int, *, syncs: int) -> None:
    """Let sites write so many commits, each with a small model, as a study's trainings are; they sync now and then."""
    heads: dict[str, Digest] = {}
    for number in range(syncs):
        for site in sites:
            home = Home(town.homes[site])
            with home.lock(), open_seat(home, home.seats()[0]) as session:
                sync_seat(session)
                study = _study(session, sites)
                for step in range(-(-commits // len(sites) // syncs)):
                    heads[site] = _train(session, study, heads.get(site, study), 1_000 * number + step)
                sync_seat(session)


def _study(session: Session, sites: Sequence[str]) -> Digest:
    """Return the study that all write in; the first site opens it."""
    for steps in session.bench.studies.values():
        return steps.study.digest
    task = Named("still", 1, {"tensors": 1, "values": 16})
    recipe = study_recipe(
        title="past", strategy=Named("local"), task=task, steps=100_000, updates=1, sites=sites, seed=1
    )
    weights = Still(tensors=1, values=16).initial(1).weights
    schema = schema_of(weights)
    return session.site.open_study(recipe, session.bench.models.keep(schema, blobs_of(schema, weights))).digest


def _train(session: Session, study: Digest, base: Digest, step: int) -> Digest:
    weights = Still(tensors=1, values=16).initial(1_000_000 + step).weights
    schema = schema_of(weights)
    return session.site._pen.commit(  # noqa: SLF001 - as a training's, without the training
        Recipe("train", 1, {"step": step, "updates": 1, "progress": "0.5"}, seed=step),
        parents=[Parent("base", base)],
        study=study,
        tree=session.bench.models.keep(schema, blobs_of(schema, weights)),
        metrics={"loss": "0.5"},
        cases=100,
    ).digest


def _row(town: Town, late: str, commits: int, size: int) -> Row:
    bench = town.bench(town.names[0])
    assert bench is not None
    known = {entry.digest for entry in bench.history}
    lacked = known - town.commits(late)
    assert len(lacked) >= commits
    (wanted,) = (steps.study.digest for steps in bench.studies.values() if steps.study.title == TITLE)
    began_s = time.time()
    up(town, late)
    tensors = size // TENSOR_BYTES
    until(
        "the model is there",
        lambda: len(blobs_at(town, late, TENSOR_BYTES)) >= tensors,
        within_s=40 if tensors == 1 else 600,
    )
    held_s = max(blob.st_ctime for blob in blobs_at(town, late, TENSOR_BYTES)) - began_s
    until("the model is held", lambda: wanted in complete(town, late))
    assert town.commits(late) >= known
    commits_s = max(known_at_s(town, late, commit) for commit in lacked) - began_s
    return Row(
        what=f"https: {len(lacked):,} commits and a model of {size / 1e6:g} MB are caught up with after",
        measured=max(commits_s, held_s),
        unit="s",
        budget=f"{MOST_S} s",
        most=MOST_S,
        note=f"From the start of the process; all commits were known after {commits_s:.1f} s.",
    )
