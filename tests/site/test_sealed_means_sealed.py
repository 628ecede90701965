"""What a federation leaves on a share from the first invitation to the last result tells nothing to who keeps the share."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.bench.repository import open_repository
from imagiq.objects import Digest
from tests.site.homes import Homes

STUDY = """\
title = "Angina after surgery"
seed = 7

[strategy]
name = "latest-of-each"

[task]
learner = "logistic"
features = 13
learning_rate = "0.0625"

[budget]
steps = 2
updates = 20
"""


class Keeper:
    """Who keeps a share, and keeps all that ever lay there."""

    def __init__(self, homes: Homes) -> None:
        self.homes = homes
        self.seen: set[bytes] = set()

    def at(self, name: str, *arguments: str) -> str:
        said = self.homes.at(name, *arguments).out
        self.look()
        return said

    def look(self) -> None:
        for path in self.homes.files():
            self.seen |= {path.read_bytes(), str(path.relative_to(self.homes.share)).encode()}

    def all(self) -> bytes:
        return b"\n".join(sorted(self.seen))


@pytest.mark.slow
def test_invitations_requests_studies_and_results_tell_nothing_to_who_keeps_the_share(tmp_path: Path) -> None:
    homes = Homes(tmp_path)
    homes.init("alba")
    said = homes.call(
        *("init", str(homes["bert"]), "--name", "bertholdstein", "--title", "Bertholdstein Clinic"),
        *("--contact", "it@bertholdstein.example"),
    )
    assert said.code == 0
    with (homes["bert"] / "site.toml").open("a", encoding="utf-8") as file:
        file.write('\n[data]\nkind = "heart"\nsite = "va"\n')
    keeper = Keeper(homes)
    homes.found("alba", 'title = "Study of livers"\n')
    invitation = homes.invite("alba")
    keeper.look()
    keeper.at("bert", "join", invitation, "--yes")
    for name in ("alba", "bert"):
        keeper.at(name, "sync")
    keeper.at("alba", "approve", "bertholdstein")
    for name in ("alba", "bert", "alba"):
        keeper.at(name, "sync")
    (tmp_path / "study.toml").write_text(STUDY, "utf-8")
    keeper.at("alba", "study", "open", str(tmp_path / "study.toml"))
    for name in ("alba", "bert"):
        (homes[name] / "policy.toml").write_text('otherwise = "accept"\n', "utf-8")
        keeper.at(name, "sync")
        homes.at(name, "approve", "Angina after surgery")
    for _ in range(8):
        for name in ("alba", "bert"):
            said = homes.call("-C", str(homes[name]), "work", "--once")
            assert said.code in {0, 4, 5}, said
            keeper.look()
    (seat,) = (homes["alba"] / "federations").iterdir()
    bench = open_repository(seat)
    recipes = [entry.commit.recipe.name for entry in bench.history]
    assert {"request", "vote", "study", "train", "merge", "evaluate"} <= set(recipes), recipes
    metrics = {text for entry in bench.history for text in entry.commit.metrics.values() if isinstance(text, str)}
    secrets = {text.encode() for text in metrics if len(text) > 4}
    assert len(secrets) > 5
    secrets |= {b"bertholdstein", b"Bertholdstein Clinic", b"alba", b"livers", b"Angina", b"latest-of-each", b"0.0625"}
    secrets |= {entry.commit.raw[:64] for entry in bench.history}
    secrets |= {entry.site.encode() for entry in bench.history} | {bytes.fromhex(entry.site) for entry in bench.history}
    objects: list[Digest] = list(bench.store.objects())
    secrets |= {bench.store.read(name)[:64] for name in objects} | {name.encode() for name in objects}
    secrets |= {invitation.encode()[place : place + 40] for place in range(0, len(invitation) - 40, 40)}
    seen = keeper.all()
    assert len(seen) > 20_000
    assert [secret for secret in secrets if secret in seen] == []
