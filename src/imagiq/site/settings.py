"""A site's settings: ``site.toml``, ``policy.toml`` and each federation's ``remotes.toml``, as values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from imagiq.errors import Misuse
from imagiq.federation.policy import Answer, Policy, Rule
from imagiq.learning import Resources
from imagiq.site.sources import SiteCases, read_cases
from imagiq.site.toml import Table, read_toml, suggestion

__all__ = [
    "FIRST_POLICY",
    "RemoteSettings",
    "Settings",
    "check_name",
    "check_site_name",
    "first_settings",
    "read_policy",
    "read_remotes",
    "read_settings",
    "remotes_text",
]

TEXT_LIMIT: Final = 256
FIRST_POLICY: Final = """\
# Which studies this site takes part in: "accept", "refuse" or "ask". The first [[rule]] that fits counts; what a rule
# leaves out fits all. `imagiq approve STUDY` and `imagiq refuse STUDY` answer where it says "ask".
otherwise = "ask"

# [[rule]]
# answer = "accept"
# strategies = ["latest-of-each", "fedavg"]
# tasks = ["segmentation"]
# openers = ["alba"]
# code = ["imagiq 0.1.0"]
"""
KINDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"folder": ("path",), "bucket": ("url", "config", "proxy"), "https": ("url", "key", "proxy")}
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the owner of a site has set.

    Attributes:
        name: What the site is called in charters, unless a federation knows it by another name.
        title: What people call it.
        contact: Whom to ask, as other sites see it.
        resources: What learners may use of this machine.
        marks: Where high-water marks are kept; None: in the home.
        path: The file.
    """

    name: str
    title: str
    contact: str
    resources: Resources
    marks: Path | None
    path: Path

    def cases(self) -> SiteCases:
        """Return the site's cases; read when asked for, since they may be many.

        Raises:
            Misuse: ``[data]`` is missing or wrong.
            ImagiqError: the cases cannot be read.
        """
        table = read_toml(self.path).table("data", needed=True)
        wanted = table.text("site", "")
        found = read_cases(table)
        if not wanted and len(found) == 1:
            return next(iter(found.values()))
        if wanted in found:
            return found[wanted]
        raise table.wrong("site", f"is '{wanted}'" if wanted else "is missing", suggestion(wanted, list(found)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """A remote of a federation, as the owner named it.

    Attributes:
        name: What the owner calls it.
        kind: ``folder``, ``bucket`` or ``https``.
        address: A path, or a URL.
        key: Of a listener: its public key, hexadecimal.
        proxy: A proxy's URL; "": none.
        config: What a bucket's provider needs. It may hold secrets, so it never shows.
        read_only: Whether the site only learns there and puts nothing, as with another site's listener.
    """

    name: str
    kind: str
    address: str
    key: str = ""
    proxy: str = field(default="", repr=False)
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_only: bool = False

    def __post_init__(self) -> None:
        """Check that it can be one."""
        check_name(self.name, "A remote")
        if self.kind not in KINDS:
            raise Misuse(
                "remote-kind", f"There is no kind of remote '{self.kind}'.", suggestion(self.kind, list(KINDS))
            )
        if not self.address:
            raise Misuse("remote-address", f"The remote '{self.name}' has no address.", "Give its path or URL.")
        if self.kind == "https" and (len(self.key) != 64 or set(self.key) - set("0123456789abcdef")):
            raise Misuse(
                "remote-pin",
                f"The key of the remote '{self.name}' is not 64 lower-case hexadecimal characters.",
                "Ask who keeps the listener for what `imagiq serve` prints.",
            )


def check_name(name: str, what: str) -> str:
    """Return a name that is also that of a file.

    Raises:
        Misuse: it cannot be.
    """
    if _NAME.fullmatch(name):
        return name
    raise Misuse(
        "name-form", f"{what} cannot be called '{name}'.", "Use letters, digits, '-', '_' and '.', at most 64."
    )


def check_site_name(name: str) -> str:
    """Return a site's name, if a site can be called so; raises as :func:`check_name` does."""
    return check_name(name, "A site")


def first_settings(name: str, title: str, contact: str) -> str:
    """Return the text of a new ``site.toml``."""
    return f"""\
name = {_quoted(check_site_name(name))}
title = {_quoted(title)}       # what people call it
contact = {_quoted(contact)}     # whom other sites ask

# Where the cases are that this site trains on. They never leave it. See docs/join.md.
# [data]
# kind = "images"
# path = "/data/brain"

[learner]
# workers = 1         # how many trainings run side by side
# threads = 0         # of each; 0: shared fairly
# device = "auto"     # cpu, cuda, cuda:1
# memory_mib = 16000
"""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def read_settings(path: Path) -> Settings:
    """Read ``site.toml``; the cases are read later.

    Raises:
        NotFound: there is no such file.
        Misuse: a key is missing, unknown or of the wrong kind.
    """
    file = read_toml(path)
    name, title, contact = file.text("name"), file.text("title", ""), file.text("contact", "")
    marks = file.text("marks", "")
    file.table("data")
    learner = file.table("learner")
    programs = learner.table("programs")
    names = list(programs.rest())
    resources = Resources(
        workers=learner.needed_whole("workers", 1),
        threads=learner.needed_whole("threads", 0),
        device=learner.text("device", "auto"),
        memory_mib=learner.whole("memory_mib", None),
        programs={program: programs.texts(program) for program in names},
        folder=path.parent,
    )
    learner.end()
    file.end()
    with file.explaining():
        check_site_name(name)
    for key, text in (("title", title), ("contact", contact)):
        if len(text) > TEXT_LIMIT:
            raise file.wrong(key, f"is longer than {TEXT_LIMIT} characters", "Say it in fewer words.")
    return Settings(
        name=name,
        title=title,
        contact=contact,
        resources=resources,
        marks=path.parent / marks if marks else None,
        path=path,
    )


def read_policy(path: Path) -> Policy:
    """Read ``policy.toml``; without one, the owner is asked about every study.

    Raises:
        Misuse: a key is unknown or of the wrong kind.
    """
    if not path.exists():
        return Policy()
    file = read_toml(path)
    rules = tuple(map(_rule, file.tables("rule")))
    policy = Policy(rules=rules, otherwise=_answer(file, "otherwise", "ask"))
    file.end()
    return policy


def _rule(table: Table) -> Rule:
    rule = Rule(
        answer=_answer(table, "answer", None),
        strategies=table.texts("strategies"),
        tasks=table.texts("tasks"),
        openers=table.texts("openers"),
        code=table.texts("code"),
    )
    table.end()
    return rule


def _answer(table: Table, key: str, default: str | None) -> Answer:
    text = table.text(key, default)
    try:
        return Answer(text)
    except ValueError as error:
        raise table.wrong(key, f"is '{text}'", suggestion(text, [answer.value for answer in Answer])) from error


def read_remotes(path: Path) -> tuple[RemoteSettings, ...]:
    """Read ``remotes.toml``; without one, there are none.

    Raises:
        Misuse: a key is unknown or of the wrong kind, or two remotes have one name.
    """
    if not path.exists():
        return ()
    file = read_toml(path)
    remotes = tuple(map(_remote, file.tables("remote")))
    file.end()
    names = [remote.name for remote in remotes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Misuse("remote-exists", f"{path.name}: two remotes are called '{twice}'.", "Rename one of them.")
    return remotes


def _remote(table: Table) -> RemoteSettings:
    name, kind = table.text("name"), table.text("kind")
    if kind not in KINDS:
        raise table.wrong("kind", f"is '{kind}'", suggestion(kind, list(KINDS)))
    values = {key: table.text(key, "") for key in KINDS[kind] if key != "config"}
    read_only = table.flag("read_only")
    config = table.table("config") if kind == "bucket" else None
    settings = {} if config is None else {key: config.text(key) for key in list(config.rest())}
    table.end()
    with table.explaining():
        return RemoteSettings(
            name=name,
            kind=kind,
            address=values.get("path") or values.get("url", ""),
            key=values.get("key", ""),
            proxy=values.get("proxy", ""),
            config=settings,
            read_only=read_only,
        )


def remotes_text(remotes: Sequence[RemoteSettings]) -> str:
    """Return the text of a ``remotes.toml``."""
    lines = [
        "# Where this site exchanges with the federation, sealed. `imagiq remote` writes this file; you may, too.\n"
    ]
    for remote in remotes:
        address = "path" if remote.kind == "folder" else "url"
        fields = {"name": remote.name, "kind": remote.kind, address: remote.address}
        fields |= {key: text for key, text in (("key", remote.key), ("proxy", remote.proxy)) if text}
        lines += ["\n[[remote]]\n", *(f"{key} = {_quoted(text)}\n" for key, text in fields.items())]
        lines += ["read_only = true\n"] if remote.read_only else []
        if remote.config:
            lines.append("[remote.config]\n")
            lines += [f"{_quoted(key)} = {_quoted(text)}\n" for key, text in sorted(remote.config.items())]
    return "".join(lines)
