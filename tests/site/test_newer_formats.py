"""A member that has upgraded writes what others cannot read: they say whose it is and what to do, wait, and take it in later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagiq.bench.bench import Bench
from imagiq.clock import SystemClock
from imagiq.errors import Unsupported
from imagiq.exchange import BenchPeer, pull
from imagiq.exchange.remote import FEEDS, entry_name
from imagiq.federation import vote_recipe
from imagiq.federation.membership import successor
from imagiq.keys import COMMIT_TAG
from imagiq.objects import Digest, digest_of, encode
from imagiq.objects import commit as commits
from imagiq.site.doctor import examine
from imagiq.site.home import Home
from imagiq.site.session import open_seat
from imagiq.site.syncing import sync_seat
from tests.bench.town import Town
from tests.site.homes import Homes


def put_newer_commit(homes: Homes, name: str, number: int) -> Digest:
    """Let a site put a commit of format 2, signed, sealed and listed as all are; return its digest."""
    home = Home(homes[name])
    with open_seat(home, home.seats()[0]) as session:
        bench, author = session.bench, session.bench.author
        assert author is not None
        last = max((entry for entry in bench.history if entry.site == author.site.public), key=lambda e: e.height)
        fields = json.loads(last.commit.raw[64:]) | {"format": 2, "number": last.commit.number + 1}
        fields.pop("certificate", None)
        body = encode(fields | {"previous": last.digest})
        raw = author.feed.sign(COMMIT_TAG + body) + body
        own = session.ring.own(bench.standing, bench.founding)
        sealed, content = own.commits.key.seal(raw, digest_of(raw))
        below = homes.share / session.ring.federation.pseudonym(author.site.public) / FEEDS
        (below / entry_name(number, sealed)).write_bytes(content)
    return digest_of(raw)


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    found = Homes(tmp_path)
    found.init("alba", "bert")
    path = found["alba"] / "site.toml"
    path.write_text(path.read_text().replace('# device = "auto"', 'device = "cpu" #'), "utf-8")
    found.found("alba", f'title = "Two"\n[[member]]\ncard = "{found.card("bert")}"\n')
    found.at("bert", "join", found.invite("alba"), "--yes")
    found.sync("bert", "alba", "bert")
    return found


def test_a_member_that_writes_a_newer_format_is_named_until_that_is_read(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = put_newer_commit(homes, "bert", 100)
    homes.sync("alba")
    (told,) = homes.at("alba", "status", "--json").json["federations"][0]["unread"]
    assert (told["site"], told["by"], told["objects"]) == ("bert", str(homes.share), 1)
    assert "bert sends what this imagiq cannot read, 1 object: A commit has format 2" in homes.at("alba", "status").out
    (finding,) = (one for one in examine(Home(homes["alba"]), SystemClock()) if one.check == "news")
    assert (finding.ok, finding.advice) == (False, "Upgrade imagiq.")
    homes.sync("alba")
    assert homes.at("alba", "status", "--json").json["federations"][0]["unread"] == [told], "it is told once"

    monkeypatch.setattr(commits, "check_format", lambda *_: None)  # as the version after this one
    homes.sync("alba")
    home = Home(homes["alba"])
    with open_seat(home, home.seats()[0]) as session:
        sync_seat(session)
        assert newer in session.bench.history
    assert homes.at("alba", "status", "--json").json["federations"][0]["unread"] == []


def unread(bench: Bench) -> list[tuple[str, str, int]]:
    return [(one.site, one.source, one.count) for one in bench.unread.listed(bench.history, bench.standing)]


def test_a_charter_of_a_newer_format_is_told_as_of_the_site_that_votes_for_it() -> None:
    town = Town()
    alba, bert = town.benches["a"], town.benches["b"]
    newer = encode(json.loads(successor(town.founding, []).raw) | {"format": 2})
    bert.store.add([newer])
    bert.commit(vote_recipe(digest_of(newer), 1))
    pull(alba, BenchPeer("b", bert))
    key = next(member.site_key for member in town.founding.members if member.name == "b")
    assert unread(alba) == unread(town.reopen("a")) == [(key, "b", 1)]


def test_what_nobody_sealed_is_told_by_whom_it_came_and_counted_within_bounds() -> None:
    town = Town()
    bench = town.benches["a"]
    bodies = [encode({"format": 2, "number": number}) for number in range(300)]
    bench.admit([bytes(64) + body for body in bodies] * 2, "stranger")
    assert unread(bench) == [("", "stranger", 256)]
    records = [record for record in bench.store.journal.read() if record["kind"] == "unread"]
    assert len(records) == 256


def test_a_key_in_a_newer_format_is_told_while_the_process_runs() -> None:
    town = Town()
    bench = town.benches["a"]
    error = Unsupported("wraps-format", "A key is stated in a format that is not known here.", "Upgrade imagiq.")
    bench.unread.note(digest_of(b"wraps"), "", "share", error, lasts=False)
    assert unread(bench) == [("", "share", 1)]
    assert unread(town.reopen("a")) == []
