"""Audit: who did what when, in causal order, beside what came of verifying all of it anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagiq.bench.bench import Bench
from imagiq.bench.reading import Progress, silent
from imagiq.bench.verify import Verification, verify
from imagiq.history import Entry
from imagiq.objects import Digest

__all__ = ["Audit", "Deed", "audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What one commit says that its author did.

    Attributes:
        commit: Its name.
        created: When, as its author says; nothing rests on it.
        site: Who.
        did: What, in a few words.
        study: In which study; "" in none.
        charter: The version of the charter that it was made under; 0: not known here.
        state: "sound", "void", "contested" or "tainted".
        checked: "holds": its bytes, signature and certificate do; of merges what :class:`MergeCheck` says, too; else what
            is wrong.
    """

    commit: Digest
    created: str
    site: str
    did: str
    study: str
    charter: int
    state: str
    checked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All deeds, and what came of verifying them. It needs no network and believes nothing that was found before."""

    deeds: tuple[Deed, ...]
    verification: Verification


def audit(bench: Bench, *, site: str | None = None, study: str | None = None, progress: Progress = silent) -> Audit:
    """Return who did what when.

    Args:
        bench: Where the history is.
        site: Only this site's deeds.
        study: Only those in the study of this title.
        progress: Told how far verifying is.
    """
    found = verify(bench, progress=progress)
    merges = {check.digest: check.finding for check in found.merges}
    deeds = (
        _deed(bench, entry, found.forged, merges) for entry in sorted(bench.history, key=lambda entry: entry.order)
    )
    chosen = (deed for deed in deeds if site in {None, deed.site} and study in {None, deed.study})
    return Audit(deeds=tuple(chosen), verification=found)


def _deed(bench: Bench, entry: Entry, forged: Mapping[Digest, str], merges: Mapping[Digest, str]) -> Deed:
    commit = entry.commit
    charter = bench.standing.charters.get(commit.charter)
    steps = bench.studies.get(commit.study or commit.digest)
    finding = merges.get(commit.digest)
    return Deed(
        commit=commit.digest,
        created=commit.created,
        site=bench.standing.name_of(entry),
        did=_words(bench, entry),
        study="" if steps is None else steps.study.title,
        charter=0 if charter is None else charter.version,
        state=bench.standing.state(commit.digest).value,
        checked=forged.get(commit.digest) or ("holds" if finding is None else f"holds, {finding}"),
    )


def _words(bench: Bench, entry: Entry) -> str:
    """Return what a commit says in words; names of recipes that are not known here stand for themselves."""
    commit, recipe = entry.commit, entry.commit.recipe
    said = recipe.parameters
    inputs = commit.parents_in("input")
    about = inputs[0][:12] if inputs else ""
    cases = "" if commit.cases is None else f" on {commit.cases} cases"
    words = {
        "train": f"trained{cases}",
        "evaluate": f"evaluated{cases}",
        "merge": f"merged {len(inputs)} models",
        "study": "opened a study",
        "stop": "asked that the study stop",
        "attest": f"recomputed {about}: {said.get('verdict')}",
        "ask-check": f"asked all to recompute {about}",
        "tag": f"{'released' if said.get('release') is True else 'called'} {about} '{said.get('name')}'",
        "recover": f"put recovery keys' signatures of {_charter(bench, said.get('charter'))}",
        "vote": f"voted for {_charter(bench, said.get('charter'))}",
        "trouble": f"reported trouble: {said.get('code')}",
        "import": "imported a model",
    }
    if recipe.name == "request":
        wants = {
            "join": f"asked that '{said.get('name')}' joins",
            "leave": "asked to leave",
            "new-key": "asked for a new key",
        }
        return wants.get(str(said.get("wants")), "asked for something")
    return words.get(recipe.name, recipe.name)


def _charter(bench: Bench, named: object) -> str:
    charter = bench.standing.charters.get(Digest(str(named)))
    return "a charter" if charter is None else f"version {charter.version} of the charter"
