"""The keyring of a site: the secrets by which it seals and opens what travels.

It rests in the store's ``secrets``, readable by the site's owner only, and nowhere else. Losing it loses no model: own
keys are wrapped to the site itself as well, and come back from any remote.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Final

from imagiq.errors import Corrupt, NotFound, Refused
from imagiq.exchange.sealing import KEY_BYTES, Purpose, SealKey
from imagiq.exchange.wraps import Federation, Statement, Wraps, make_wraps, read_wraps, recall_statement, state_key
from imagiq.federation import Standing
from imagiq.keys import SiteKey
from imagiq.objects import JSON, Charter, Digest, Member, encode, parse_digest
from imagiq.objects.canonical import Fields, decode
from imagiq.store import Store

__all__ = ["Held", "Keyring", "Own", "older_models_travel"]

AT_REST: Final = "exchange"
RING_LIMIT: Final = 64 * 2**20
KEYS_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Held:
    """A key with its author's statement."""

    key: SealKey
    statement: Statement


@dataclass(frozen=True, slots=True)
class Own:
    """The two keys that this site seals under now."""

    commits: Held
    models: Held


def older_models_travel(charter: Charter) -> bool:
    """Tell whether newcomers get the keys of models from before their time: unless the charter says otherwise."""
    return charter.rules.get("older_models", "given") == "given"


class Keyring:
    """The keys of one site in one federation.

    Args:
        store: Where they rest.
        site: The site's own keys.
        federation: The federation and its secret.
        introduced: Site keys that an invitation named, hexadecimal: whom a newcomer believes before it knows the
            charters.
        held: What it held before.
    """

    def __init__(
        self,
        store: Store,
        site: SiteKey,
        federation: Federation,
        introduced: Iterable[str] = (),
        held: Iterable[Held] = (),
    ) -> None:
        self.federation = federation
        self.site = site
        self.introduced = tuple(introduced)
        self.next_key: SiteKey | None = None
        """The key that the site will have once a charter names it: what is sealed to that opens, too."""
        self.sealed_as: dict[Digest, list[str]] = {}
        """Under which keys a commit has been seen sealed, on whatever remote; made anew after a restart."""
        self._store = store
        self._held: dict[str, Held] = {one.key.id: one for one in held}
        self._of_author: dict[tuple[str, Purpose], list[Held]] = {}
        for one in self._held.values():
            self._index(one)
        self._unsaved = False
        self._lock = RLock()
        self._sites: tuple[object, Mapping[str, str]] = (None, {})

    def __repr__(self) -> str:
        """Show how many keys there are, and nothing of them."""
        return f"<Keyring of {len(self._held)} keys>"

    # ------------------------------------------------------------------------------------------------ at rest

    @classmethod
    def found(cls, store: Store, site: SiteKey, federation: Digest) -> Keyring:
        """Make the keyring of a founder who draws the federation's secret; the other founders are told it."""
        return cls.join(store, site, federation, secrets.token_bytes(KEY_BYTES))

    @classmethod
    def join(
        cls, store: Store, site: SiteKey, federation: Digest, secret: bytes, introduced: Iterable[str] = ()
    ) -> Keyring:
        """Make the keyring of a site that was told the federation's secret, by an invitation."""
        ring = cls(store, site, Federation(digest=federation, secret=secret), introduced)
        ring.save(always=True)
        return ring

    @classmethod
    def open(cls, store: Store, site: SiteKey) -> Keyring:
        """Read the keyring from a store.

        Raises:
            NotFound: there is none.
            Corrupt: it is damaged.
        """
        raw = store.secret_read(AT_REST)
        if raw is None:
            raise NotFound(
                "ring-missing",
                "This repository has no keys to exchange with.",
                "Found a federation, or join one with its invitation.",
            )
        fields = decode(raw, limit=RING_LIMIT, what="a keyring")
        federation = Federation(
            digest=parse_digest(fields.text("federation"), "A keyring's federation"), secret=_secret(fields)
        )
        held = [_recall(one) for one in fields.objects("keys", limit=KEYS_LIMIT)]
        return cls(store, site, federation, fields.texts("introduced", limit=KEYS_LIMIT), held)

    def save(self, *, always: bool = False) -> None:
        """Write the keyring, durably, if it holds what is not written yet."""
        with self._lock:
            if always or self._unsaved:
                self._write()

    def _write(self) -> None:
        keys: list[JSON] = [
            {"secret": one.key.secret.hex(), "author": one.statement.author} | one.statement.to_json()
            for one in self._held.values()
        ]
        fields: dict[str, JSON] = {
            "federation": self.federation.digest,
            "secret": self.federation.secret.hex(),
            "introduced": list(self.introduced),
            "keys": keys,
        }
        self._store.secret_write(AT_REST, encode(fields))
        self._unsaved = False

    def _hold(self, one: Held) -> Held:
        with self._lock:
            known = self._held.setdefault(one.key.id, one)
            if known is one:
                self._index(one)
                self._unsaved = True
            return known

    def _index(self, one: Held) -> None:
        keys = self._of_author.setdefault((one.statement.author, one.key.purpose), [])
        keys.append(one)
        keys.sort(key=lambda held: (-held.statement.version, held.key.id))

    # ------------------------------------------------------------------------------------------------- looking

    def __len__(self) -> int:
        """Return how many keys are held."""
        return len(self._held)

    def get(self, key: str | None) -> Held | None:
        """Return a key by its id."""
        return None if key is None else self._held.get(key)

    def all(self) -> tuple[Held, ...]:
        """Return all keys."""
        return tuple(self._held.values())

    def of(self, author: str, purpose: Purpose) -> tuple[Held, ...]:
        """Return an author's keys, the newest first."""
        return tuple(self._of_author.get((author, purpose), ()))

    def sites(self, standing: Standing) -> Mapping[str, str]:
        """Return the site keys of all that are or were members, by pseudonym: where to look, and whom to believe."""
        state = (standing.line.enacted, standing.ruling and standing.ruling.digest)
        if self._sites[0] != state:
            charters = [standing.charters[name] for name in standing.line.enacted if name in standing.charters]
            keys = {member.site_key for charter in charters for member in charter.members}
            keys |= {self.site.public, *self.introduced}
            self._sites = (state, {self.federation.pseudonym(key): key for key in sorted(keys)})
        return self._sites[1]

    def entitled(self, held: Held, charter: Charter, standing: Standing) -> tuple[Member, ...]:
        """Return the members of a charter who may have a key: all, or of models those for whom the key was made."""
        if held.key.purpose == "commits" or older_models_travel(charter):
            return charter.members
        eras = {self.federation.tag_of(name): known for name, known in standing.charters.items()}
        era = eras.get(held.statement.era)
        made_for = {member.exchange_key for member in era.members} if era is not None else set()
        return tuple(member for member in charter.members if member.exchange_key in made_for)

    def note_seal(self, commit: Digest, key: str) -> None:
        """Remember under which key a commit was seen sealed."""
        keys = self.sealed_as.setdefault(commit, [])
        if key not in keys:
            keys.append(key)

    # ---------------------------------------------------------------------------------------------- own, learnt

    def own(self, standing: Standing, founding: Charter) -> Own:
        """Return the keys to seal under now; new ones are drawn, durably, when the members have changed.

        Raises:
            Refused: the site is no member.
        """
        charter, era = _era(standing, founding)
        if self.site.public not in charter.names_by_site_key:
            raise Refused(
                "exchange-no-member", "This site is no member, so it seals nothing.", "Ask the voters to let it join."
            )
        tag = self.federation.tag_of(era.digest)
        for commits in self.of(self.site.public, "commits"):
            models = self.get(commits.statement.models)
            if commits.statement.era == tag and models is not None:
                return Own(commits, models)
        return self._new_own(era)

    def _new_own(self, era: Charter) -> Own:
        made = []
        partner: str | None = None
        for purpose in ("models", "commits"):
            key = SealKey.new("models" if purpose == "models" else "commits")
            statement = state_key(self.federation, self.site, key, era=era.digest, version=era.version, models=partner)
            made.append(self._hold(Held(key, statement)))
            partner = key.id
        self.save()
        return Own(commits=made[1], models=made[0])

    def learn(self, raw: bytes, sites: Mapping[str, str]) -> Wraps:
        """Take in a foreign file of wraps; the key is held afterwards if it was wrapped to this site.

        Raises:
            ImagiqError: it is not what it should be; it counts as missing.
        """
        wraps = read_wraps(raw, self.federation, sites)
        if wraps.statement.key not in self._held:
            key = wraps.unwrap(self.federation, self.site)
            if key is None and self.next_key is not None:
                key = wraps.unwrap(self.federation, self.next_key)
            if key is not None:
                self._hold(Held(key, wraps.statement))
        return wraps

    def wrap(self, held: Held, exchange_keys: Iterable[str]) -> bytes:
        """Return the file that brings a key to the holders of these exchange keys."""
        return make_wraps(self.federation, self.site, held.key, held.statement, exchange_keys)


def _era(standing: Standing, founding: Charter) -> tuple[Charter, Charter]:
    """Return the ruling charter, and the first of the charters before it that have the same members with the same keys.

    The same members again after others were there is another era: they were given the keys of this one.
    """
    versions = standing.line.versions or (founding,)
    era = versions[-1]
    for charter in reversed(versions):
        if charter.members != versions[-1].members:
            break
        era = charter
    return versions[-1], era


def _secret(fields: Fields) -> bytes:
    return bytes.fromhex(parse_digest(fields.text("secret"), "A secret"))


def _recall(fields: Fields) -> Held:
    author = parse_digest(fields.text("author"), "A key's author")
    statement = recall_statement(fields, author)
    key = SealKey(_secret(fields), statement.purpose)
    if key.id != statement.key:
        raise Corrupt("ring-damaged", "The keyring is damaged.", "Restore `secrets` from a backup.")
    return Held(key, statement)
