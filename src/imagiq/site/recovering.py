"""Recovery: when votes cannot settle something any more, the charter's offline keys sign what comes next.

A quorum of voters may be gone, a key lost, or two successors have won against each other. A member writes a *proposal*,
a file that is carried to those who keep the recovery keys; each signs it on a machine that needs no home and no network;
a member puts the signatures into a commit. More than half of the keys make the proposal the ruling charter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from imagiq.bench import Bench
from imagiq.bench.names import pick_site
from imagiq.errors import Conflict, Misuse, NotFound, Refused, Untrusted
from imagiq.federation.membership import Change, cuts_of, successor
from imagiq.federation.votes import check_successor, recover_recipe
from imagiq.history import Entry
from imagiq.keys import FeedKey, recovery_signature, verify_recovery
from imagiq.objects import Charter, Member, encode, parse_charter, parse_digest
from imagiq.objects.canonical import decode
from imagiq.site.card import read_card
from imagiq.site.keyfile import read_key, write_file
from imagiq.site.session import Session
from imagiq.store.owned import reading

__all__ = ["propose", "read_proposal", "recover", "sign", "write_proposal"]

FILE_LIMIT: Final = 2**20


def propose(bench: Bench, *, remove: Iterable[str] = (), cards: Iterable[str] = (), choose: str = "") -> Charter:
    """Return a successor of the ruling charter for the recovery keys to sign.

    Args:
        bench: The repository; for reading is enough.
        remove: The names of members that go.
        cards: The cards of members that lost their keys, with the new ones.
        choose: Of two successors that have won against each other, the first characters of the one to keep.

    Raises:
        Misuse: the charter has no recovery keys, or what is asked for changes nothing or cannot be.
        NotFound: there is no such member or successor.
    """
    ruling = bench.standing.ruling
    if ruling is None or not ruling.recovery:
        raise Misuse(
            "recovery-none",
            "The ruling charter names no recovery keys.",
            "Nothing settles what votes cannot; found anew, with recovery keys.",
        )
    if choose:
        found = [digest for digest in bench.standing.line.rivals if digest.startswith(choose)]
        if len(found) != 1:
            raise NotFound(
                "recovery-rival",
                f"No one successor that has won begins with '{choose}'.",
                "See `imagiq members --json`.",
            )
        return bench.standing.charters[found[0]]
    members = {member.name: member for member in ruling.members}
    changes = [Change(_member(members, name), None) for name in remove]
    for card in cards:
        after = read_card(card)
        changes.append(Change(_member(members, after.name), after))
    if not changes:
        raise Misuse(
            "recovery-nothing", "The proposal would change nothing.", "Say whom to remove, or who has a new key."
        )
    gone = [change.before.site_key for change in changes if change.before is not None]
    proposal = successor(ruling, changes, cuts_of(bench.history, gone))
    check_successor(bench.standing.line.versions, proposal)
    return proposal


def _member(members: dict[str, Member], name: str) -> Member:
    return members[pick_site(members, name)]


def write_proposal(charter: Charter, path: Path) -> None:
    """Write a proposal to a file.

    Raises:
        Conflict: there is a file.
        Unreachable: it cannot be written.
    """
    if path.exists():
        raise Conflict("file-exists", f"There is a file {path} already.", "Name another one.")
    write_file(path, charter.raw)


def read_proposal(path: Path) -> Charter:
    """Read a proposal.

    Raises:
        NotFound: there is no file.
        Corrupt: it holds no charter.
        Unreachable: it cannot be read.
    """
    return parse_charter(_read(path))


def _read(path: Path) -> bytes:
    with reading(path), path.open("rb") as file:
        return file.read(FILE_LIMIT)


def sign(proposal: Charter, key: Path, output: Path) -> str:
    """Sign a proposal with a recovery key; return the key's public half.

    Raises:
        Conflict: there is a file.
        ImagiqError: the key cannot be read; see :func:`imagiq.site.keyfile.read_key`.
    """
    if output.exists():
        raise Conflict("file-exists", f"There is a file {output} already.", "Name another one.")
    seed = read_key(key)
    public = FeedKey(seed).public
    signature = recovery_signature(seed, proposal.digest)
    write_file(output, encode({"charter": proposal.digest, "key": public, "signature": signature}))
    return public


def recover(session: Session, proposal: Charter, signatures: Sequence[Path]) -> Entry:
    """Put recovery keys' signatures of a proposal into a commit; in force it is once more than half have signed.

    Raises:
        Untrusted: a signature is wrong, or of another proposal.
        Refused: too few of the ruling charter's recovery keys have signed, or this site may not write.
        Misuse: the proposal does not follow the ruling charter.
    """
    ruling = session.charter
    check_successor(session.bench.standing.line.versions, proposal)
    signed: dict[str, str] = {}
    for path in signatures:
        fields = decode(_read(path), limit=FILE_LIMIT, what="a recovery signature")
        key = parse_digest(fields.values.get("key"), "A recovery key")
        if fields.text("charter") != proposal.digest or key not in ruling.recovery:
            raise Untrusted(
                "recovery-other", f"{path} is of another proposal, or by no recovery key.", "Sign this very proposal."
            )
        verify_recovery(key, fields.text("signature"), proposal.digest)
        signed[key] = fields.text("signature")
    if 2 * len(signed) <= len(ruling.recovery):
        raise Refused(
            "recovery-few",
            f"{len(signed)} of {len(ruling.recovery)} recovery keys have signed, and more than half must.",
            "Let others sign the same proposal.",
        )
    session.bench.store.add([proposal.raw])
    session.bench.learn_charter(proposal)
    return session.site.say(recover_recipe(proposal.digest, signed))
