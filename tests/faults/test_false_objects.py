"""What a member or a stranger puts where honest objects lie: forged, cut, oversized, old, out of order, under another's name."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree

import pytest

from imagiq.exchange.remote import entry_name, parse_entry
from imagiq.exchange.ring import Held
from imagiq.history import Entry
from imagiq.objects import Recipe, digest_of
from imagiq.site.home import Home
from imagiq.site.session import open_seat
from tests.faults.course import Course, course_of
from tests.site.homes import Homes
from tests.site.processes import ROOT, until

OTHERS = ("alba", "bert")


@dataclass
class Place:
    """Two sites that run, and dora, who does not, and whose keys somebody uses who knows how."""

    course: Course
    numbers: list[int] = field(default_factory=list)

    @property
    def below(self) -> Path:
        """Where dora's things lie on the share."""
        held, _ = written(self.course.town.homes, "dora", 0)
        return self.course.town.homes.share / held[1]

    def put(self, sealed_name: str, sealed: bytes) -> None:
        """Put a sealed commit below dora's pseudonym, as her next, and tell of it."""
        below = self.below
        taken = [found[0] for path in (below / "feeds").iterdir() if (found := parse_entry(path.name)) is not None]
        number = max(taken, default=0) + 1
        (below / "feeds" / entry_name(number, sealed_name)).write_bytes(sealed)
        (below / "feeds" / "head").write_bytes(f"{number:012d} {number:08x}\n".encode("ascii"))


def written(homes: Homes, name: str, count: int) -> tuple[tuple[Held, str], list[Entry]]:
    """Let a site that does not run write notes that it publishes nowhere; return its key, its pseudonym, and them."""
    home = Home(homes[name])
    with home.lock(), open_seat(home, home.seat()) as session:
        session.start()
        key = session.ring.own(session.bench.standing, session.bench.founding).commits
        below = session.ring.federation.pseudonym(session.key.public)
        notes = [session.bench.commit(Recipe("note", parameters={"number": number})) for number in range(count)]
    return (key, below), notes


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with course_of(tmp_path_factory.mktemp("false"), "alba", "bert", "dora") as course:
        course.up(*OTHERS)
        course.open_study("alba")
        course.wait_until_all_train(*OTHERS)
        yield Place(course)
        course.check_sound(*OTHERS)


FALSE: dict[str, Callable[[bytes, bytes], bytes]] = {
    "forged-signature": lambda raw, _: bytes([raw[0] ^ 1]) + raw[1:],
    "forged-content": lambda raw, _: raw.replace(b'"note"', b'"vote"'),
    "truncated": lambda raw, _: raw[:-20],
    "oversized": lambda raw, _: raw + b" " * 300_000,
    "signed-by-another": lambda raw, other: other[:64] + raw[64:],
    "no-json": lambda raw, _: raw[:64] + b"\xff" * 500,
}


@pytest.mark.parametrize("kind", FALSE)
def test_a_false_commit_of_a_member_is_never_known_and_holds_nobody_up(place: Place, kind: str) -> None:
    course, homes = place.course, place.course.town.homes
    shadow = f"shadow-{kind}"
    copytree(homes["dora"], homes[shadow])
    (key, _), (one, other) = written(homes, shadow, 2)
    false = FALSE[kind](one.commit.raw, other.commit.raw)
    with course.fault(*OTHERS):
        place.put(*key.key.seal(false, digest_of(false)))
    for name in OTHERS:
        assert digest_of(false) not in course.known(name)


def test_what_is_replayed_or_lies_under_anothers_name_changes_nothing(place: Place) -> None:
    course, homes = place.course, place.course.town.homes
    copytree(homes["dora"], homes["shadow-replay"])
    (key, _), (one, other) = written(homes, "shadow-replay", 2)
    bench = course.town.bench_of("alba")
    old = next(entry for entry in bench.history if bench.standing.name_of(entry) == "dora")
    before = {entry.digest for entry in bench.history if bench.standing.name_of(entry) == "dora"}
    with course.fault(*OTHERS):
        place.put(*key.key.seal(old.commit.raw, old.digest))
        _, sealed = key.key.seal(one.commit.raw, one.digest)
        name_of_other, _ = key.key.seal(other.commit.raw, other.digest)
        place.put(name_of_other, sealed)
    bench = course.town.bench_of("alba")
    assert {entry.digest for entry in bench.history if bench.standing.name_of(entry) == "dora"} == before


def test_commits_that_come_in_the_wrong_order_are_all_known_in_the_end(place: Place) -> None:
    course, homes = place.course, place.course.town.homes
    (key, _), notes = written(homes, "dora", 3)
    with course.fault(*OTHERS):
        for note in (notes[2], notes[0], notes[1]):
            place.put(*key.key.seal(note.commit.raw, note.digest))
        until("all are known", lambda: {note.digest for note in notes} <= course.known("bert"), within_s=20)


# ---------------------------------------------------------------------------------------------------- the share


def test_garbage_that_a_squatter_puts_under_names_to_come_stops_neither_the_author_nor_the_readers(
    tmp_path: Path,
) -> None:
    with course_of(tmp_path, "alba", "bert", "dora") as course:
        town, homes = course.town, course.town.homes
        course.up()
        course.open_study("alba")
        course.wait_until_all_train()
        homes.at("dora", "remote", "remove", "share")
        alone = course.known("dora")
        until("dora trains alone", lambda: len(course.known("dora") - alone) >= 3, within_s=30)
        homes.at("dora", "down")
        town.running["dora"].wait(30)
        copytree(homes["dora"], homes["rehearsal"])
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        homes.at("rehearsal", "remote", "add", "scratch", "folder", str(scratch))
        homes.at("rehearsal", "sync")
        (_, pseudonym), _ = written(homes, "dora", 0)
        own = homes.share / pseudonym
        last = max(found[0] for path in (own / "feeds").iterdir() if (found := parse_entry(path.name)) is not None)
        names = [path for path in (scratch / pseudonym).rglob("*") if path.is_file() and path.name != "head"]
        future = [path for path in names if not any(own.rglob(f"*{path.name[-64:]}"))]
        assert len(future) > 10
        with course.fault(*OTHERS):
            for path in future:
                entry = parse_entry(path.name)
                numbers = range(last + 1, last + 1 + len(future))
                for name in [path.name] if entry is None else [entry_name(number, entry[1]) for number in numbers]:
                    (own / path.parent.name).mkdir(exist_ok=True)
                    (own / path.parent.name / name).write_bytes(b"squatted" * (path.stat().st_size // 8 + 1))
            homes.at("dora", "remote", "add", "share", "folder", str(homes.share))
            course.up("dora")
            course.wait_until_caught_up("dora", *OTHERS, within_s=60)
        course.wait_for_more("dora")
        course.wait_until_models_are_here("alba", "dora")
        course.check_sound()


def test_a_share_that_is_rolled_back_is_filled_again_and_who_was_away_gets_all(tmp_path: Path) -> None:
    with course_of(tmp_path, "alba", "bert", "dora") as course:
        town, homes = course.town, course.town.homes
        course.up()
        course.open_study("alba")
        course.wait_until_all_train()
        town.kill("dora")
        copytree(homes.share, tmp_path / "old")
        course.wait_for_more("bert")
        before = course.known("alba")
        with course.fault(*OTHERS):
            homes.share.rename(tmp_path / "new")
            (tmp_path / "old").rename(homes.share)
        assert before <= course.known("alba"), "nothing is taken away"
        course.up("dora")
        course.wait_until_caught_up("dora", *OTHERS, within_s=60)
        course.wait_for_more("dora")
        course.check_sound()


def test_a_relay_that_hides_a_removal_holds_nobody_up_and_is_found_out_by_another_path(tmp_path: Path) -> None:
    with course_of(tmp_path, "alba", "bert", "caro", "dora", charter='voters = ["alba", "bert"]\n') as course:
        town, homes = course.town, course.town.homes
        course.up()
        course.open_study("alba")
        course.wait_until_all_train()
        hiding = tmp_path / "hiding"
        homes.at("dora", "remote", "remove", "share")
        copytree(homes.share, hiding)
        homes.at("dora", "remote", "add", "hiding", "folder", str(hiding))
        town.kill("caro")
        with course.fault("alba", "bert", "dora"):
            homes.at("alba", "remove", "caro", "--yes")
            homes.at("bert", "remove", "caro", "--yes")
            until("caro is removed", lambda: homes.members("alba") == ["alba", "bert", "dora"], within_s=30)
        assert homes.members("dora") == ["alba", "bert", "caro", "dora"], "nobody can know what is kept from it"
        course.up("caro")
        homes.at("dora", "remote", "add", "share", "folder", str(homes.share))
        until("dora has heard", lambda: homes.members("dora") == ["alba", "bert", "dora"], within_s=30)
        homes.at("dora", "remote", "remove", "share")
        course.wait_for_more("alba")
        assert homes.members("dora") == ["alba", "bert", "dora"], "and the old relay takes nothing back"
        newer = {entry.digest for entry in town.own("alba")[-2:]}
        assert not newer & course.known("caro"), "who was removed reads nothing newer"
        course.check_logs("alba", "bert", "dora")


# --------------------------------------------------------------------------------------------------- model files


def tensor(start: int, end: int, shape: object = (2,), dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


LYING = {
    "longer-than-the-file": (2**40, b"{}", b""),
    "no-json": (None, b"\x80\x04pickle", b""),
    "huge-shape": (None, {"a": tensor(0, 8, [2**40, 2**40])}, bytes(8)),
    "negative-shape": (None, {"a": tensor(0, 8, [-2])}, bytes(8)),
    "overlapping": (None, {"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)),
    "a-hole": (None, {"a": tensor(0, 8), "b": tensor(12, 20)}, bytes(20)),
    "beyond-the-end": (None, {"a": tensor(0, 8)}, bytes(4)),
    "more-behind": (None, {"a": tensor(0, 8)}, bytes(800)),
    "twice": (
        None,
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        bytes(8),
    ),
    "deep": (None, b'{"a":' * 100_000, b""),
    "unknown-kind": (None, {"a": tensor(0, 8, [2], "PICKLE")}, bytes(8)),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    homes = Homes(tmp_path_factory.mktemp("files"))
    homes.init("alba")
    homes.found("alba")
    return homes


@pytest.mark.parametrize("lie", LYING)
def test_a_safetensors_header_that_lies_is_refused_in_words_with_little_memory(
    bench: Homes, tmp_path: Path, lie: str
) -> None:
    length, header, data = LYING[lie]
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)
    (seat,) = (bench["alba"] / "federations").iterdir()
    before = sorted(path for path in seat.rglob("*") if path.is_file() and "index" not in path.name)
    done = subprocess.run(
        [sys.executable, "-m", "imagiq", "-C", str(seat), "import", str(file)],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
    )
    assert done.returncode in {1, 2}, done
    assert "error[safetensors-" in done.stderr, done
    assert "Traceback" not in done.stderr
    assert sorted(path for path in seat.rglob("*") if path.is_file() and "index" not in path.name) == before
