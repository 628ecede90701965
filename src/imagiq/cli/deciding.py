"""What ``imagiq approve`` and ``imagiq refuse`` do."""

from __future__ import annotations

from pathlib import Path

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.cli.homes import act_now, seat_at, show_done
from imagiq.cli.printing import escaped, say
from imagiq.errors import NotFound, Refused
from imagiq.federation.policy import Answer
from imagiq.site.agenda import agenda_of, pick_items, pick_study
from imagiq.site.founding import my_name
from imagiq.site.home import Home, Seat
from imagiq.site.studies import code_of

__all__ = ["decide", "voting"]


def voting(home: Home, seat: Seat, bench: Bench) -> None:
    """Check that this site votes.

    Raises:
        Refused: it does not.
    """
    ruling = bench.standing.ruling
    if ruling is None or my_name(home, seat, bench) not in ruling.voters:
        raise Refused(
            "site-no-voter",
            f"This site does not vote in the federation '{bench.founding.title}'.",
            "Ask one of the voters: see `imagiq members`.",
        )


def decide(command: str, folder: Path, name: str, answer: Answer, *, wants_json: bool) -> int:
    """Write the owner's word down, and act on it at once if nobody else works in the home; return the exit code.

    Raises:
        NotFound: nothing here is called so.
        Refused: this site does not vote.
    """
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    items = pick_items(agenda_of(bench, seat.decisions), name)
    decided = [f"{item.kind} {item.name}" for item in items]
    if items:
        voting(home, seat, bench)
        for item in items:
            seat.decisions.decide(item.wish, answer)
    else:
        try:
            study = pick_study(bench, name)
        except NotFound as error:
            raise NotFound(
                "request-unknown", f"Nothing waits here that is called '{name}'.", "See `imagiq requests`, or sync."
            ) from error
        seat.decisions.answer(study.digest, answer)
        decided = [f"study {study.title}"]
        for code in code_of(study) if answer is Answer.ACCEPT else ():
            seat.decisions.let_run(code)
    if not wants_json:
        for what in decided:
            say(f"{escaped(what)}: {'approved' if answer is Answer.ACCEPT else 'refused'} at this site")
    done = act_now(home, seat)
    return show_done(command, done, wants_json=wants_json, decided=decided)
