"""Where the cases of sites come from: sources that installed packages offer, found by name.

A package offers sources in its entry points, group ``imagiq.cases``: name -> a callable that takes the source's
parameters as keywords and returns the tables of all sites; see :class:`SiteTable`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from imagiq.errors import ContractBroken, Misuse, Unsupported
from imagiq.federation import Named
from imagiq.learning import SPLIT, Cases
from imagiq.site.toml import Table, read_toml, suggestion

__all__ = ["CasesOfSites", "SiteCases", "SiteTable", "cases_at", "cases_of", "read_cases"]

GROUP = "imagiq.cases"
BY_FOLD = ("fold", "judge")
BY_SHARE = ("train_fraction", "held_back", "validation", "judge", "seed")
"""What the sources call the parameters by which cases are parted."""


@dataclass(frozen=True, kw_only=True)
class SiteCases:
    """The cases of a site.

    Attributes:
        training: To train on.
        held_back: Never trained on.
        columns: What each feature of a case is, in order; empty: not told.
        dropped: How many cases were left out because of a gap.
        warnings: What may make results at this site worthless, one sentence each.
        is_unseen: Whether the site takes no part: every model is tried on its held-back cases, and nothing else.
        is_shareable: Whether its images may be shown to anybody, such as those of phantoms.
        split: By which rule they were parted, such as ``held_back`` and ``seed``, as it stands in ``[data]``; empty: not told.
    """

    training: Cases
    held_back: Cases
    columns: tuple[str, ...] = ()
    dropped: int = 0
    warnings: tuple[str, ...] = ()
    is_unseen: bool = False
    is_shareable: bool = False
    split: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that nobody is both trained on and held back, where the cases say whose they are."""
        parts = [getattr(part, "patients", None) for part in (self.training, self.held_back)]
        trained, held = (frozenset() if names is None else frozenset(map(str, names)) for names in parts)
        both = trained & held
        if both:
            raise ContractBroken(
                "split-patient-twice",
                f"{len(both)} {'patient is' if len(both) == 1 else 'patients are'} both trained on and held back.",
                "Put all images of a patient into one part: a model knows again whom it was trained on.",
            )


def parted_as_stated(cases: SiteCases, task: Named) -> SiteCases:
    """Return cases that were parted by the rule that a study states in its task's ``split``, if it states one.

    Raises:
        ContractBroken: they were parted by another, or it is not told by which.
    """
    stated = task.parameters.get(SPLIT)
    if stated is None:
        return cases
    rule = stated if isinstance(stated, Mapping) else {SPLIT: stated}
    for name, value in rule.items():
        if name not in cases.split or not _alike(value, cases.split[name]):
            here = f"here it is {cases.split[name]}" if name in cases.split else "the cases here do not tell theirs"
            raise ContractBroken(
                "split-differs",
                f"The study says that cases are parted by {name} = {value}; {here}.",
                "Say the same in [data], or take part in a study that says what [data] does.",
            )
    return cases


def _alike(stated: object, here: object) -> bool:
    """Tell whether two values are the same; a number with a point stands as text in what is signed."""
    if isinstance(here, float):
        try:
            return float(str(stated)) == here
        except ValueError:
            return False
    return stated == here


class SiteTable(Protocol):
    """One site's cases, as a source returns them.

    Contract: the same parameters give the same cases. What cannot be read raises an
    :class:`~imagiq.errors.ImagiqError` whose message names no value of a case.

    Two more attributes may be there. ``is_unseen``: the site takes no part, and every model is tried on its ``test``
    cases; its ``train`` cases are not looked at. ``is_shareable``: its images may be shown to anybody, in reports too.
    """

    @property
    def name(self) -> str:
        """What the source calls the site."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What each feature of a case is, in order."""

    @property
    def train(self) -> Cases:
        """The training cases."""

    @property
    def test(self) -> Cases:
        """The cases that are never trained on."""

    @property
    def dropped(self) -> int:
        """How many cases were left out because of a gap."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may make results at this site worthless."""


CasesOfSites: TypeAlias = "Mapping[str, SiteCases] | Iterable[SiteTable]"
"""The cases of all sites: by the site's name, or as a source returns them."""


def cases_of(given: CasesOfSites) -> dict[str, SiteCases]:
    """Return the cases of all sites by name."""
    if isinstance(given, Mapping):
        return dict(given)
    return {
        table.name: SiteCases(
            training=table.train,
            held_back=table.test,
            columns=tuple(table.columns),
            dropped=table.dropped,
            warnings=tuple(table.warnings),
            is_unseen=bool(getattr(table, "is_unseen", False)),
            is_shareable=bool(getattr(table, "is_shareable", False)),
        )
        for table in given
    }


def cases_at(path: Path, grid: Mapping[str, object] | None = None) -> dict[str, SiteCases]:
    """Read the cases that a file's ``[data]`` and ``[unseen]`` name, or all image pairs of a folder.

    Args:
        path: A TOML file, or a folder as ``kind = "images"`` takes it, with or without ``sites.csv``; of a folder all
            cases are for training.
        grid: ``plane``, ``spacing_mm`` and ``shape`` to which the images of a folder are brought.

    Raises:
        NotFound: there is nothing.
        ImagiqError: as :func:`read_cases`.
    """
    if path.is_dir():
        whole: dict[str, object] = {"kind": "images", "path": str(path.absolute()), "held_back": 0.0, "validation": 0.0}
        if (path / "sites.csv").is_file():
            whole["sites"] = str((path / "sites.csv").absolute())
        return read_cases(Table(path, "", whole | dict(grid or {})))
    file = read_toml(path)
    found = read_cases(file.table("data", needed=True))
    if unseen := file.table("unseen"):
        found |= read_cases(unseen)
    return found


def read_cases(table: Table) -> dict[str, SiteCases]:
    """Read the cases of all sites as a file's ``[data]`` says: ``kind`` names the source, the rest are its parameters.

    Raises:
        Unsupported: no installed package offers the source.
        Misuse: a parameter is missing, unknown or of the wrong kind.
        NotFound: a file is not there.
        ContractBroken: a file does not hold what it should.
    """
    kind = table.text("kind")
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in offered:
        raise Unsupported(
            "cases-unknown",
            f"{table.where}: no installed package offers cases of kind '{kind}'.",
            suggestion(kind, list(offered)),
        )
    make = _load(offered[kind], table)
    values = _checked(make, kind, table)
    with table.explaining():
        found, split = cases_of(make(**values)), _split(make, values)
    return {name: replace(cases, split=split) for name, cases in found.items()}


def _split(make: Callable[..., object], values: Mapping[str, object]) -> dict[str, bool | int | float | str]:
    """Return the rule by which a source parts cases: what is said of it, and what holds where nothing is said."""
    known = inspect.signature(make).parameters
    said = {name: values.get(name, parameter.default) for name, parameter in known.items()}
    if said.get("split") is not None:
        return {}  # by a file of one's own
    fold = said.get("fold", -1)
    names = BY_FOLD if isinstance(fold, int) and fold >= 0 else BY_SHARE
    return {name: value for name in names if isinstance(value := said.get(name), bool | int | float | str)}


def _load(point: EntryPoint, table: Table) -> Callable[..., Iterable[SiteTable]]:
    try:
        return cast("Callable[..., Iterable[SiteTable]]", point.load())
    except (ImportError, AttributeError) as error:
        is_ours = point.value.startswith("imagiq.")
        raise Unsupported(
            "cases-not-loadable",
            f"{table.where}: cases of kind '{point.name}' ({point.value}) cannot be loaded: {error}.",
            "Install what they need: pip install 'imagiq[learning]'"
            if is_ours
            else "Install what they need, or reinstall their package.",
        ) from error


def _checked(make: Callable[..., object], kind: str, table: Table) -> dict[str, object]:
    """Return the source's parameters, paths relative to the file."""
    known = inspect.signature(make).parameters
    values = table.rest()
    for key in values:
        if key not in known:
            raise Misuse(
                "file-key", f"{table.where}: cases of kind '{kind}' have no '{key}'.", suggestion(key, ["kind", *known])
            )
    for key, parameter in known.items():
        if key in values:
            values[key] = _as_wanted(table, key, values[key], str(parameter.annotation))
        elif parameter.default is inspect.Parameter.empty:
            raise Misuse(
                "file-missing-key", f"{table.where}: '{key}' is missing.", f"Cases of kind '{kind}' need it: add it."
            )
    return values


def _as_wanted(table: Table, key: str, value: object, annotation: str) -> object:
    """Return a value of the kind that a parameter's annotation asks for; what it does not tell is left as it is."""
    wanted = annotation.removesuffix(" | None")
    if "Path" in wanted and isinstance(value, str):
        return table.path.parent / Path(value)
    kinds: dict[str, tuple[type | tuple[type, ...], str]] = {
        "str": (str, "text"),
        "Path": (str, "text"),
        "int": (int, "a whole number"),
        "float": ((int, float), "a number"),
        "bool": (bool, "true or false"),
        "Sequence[str]": (list, "a list of texts"),
        "Sequence[int]": (list, "a list of whole numbers"),
    }
    if wanted in kinds:
        kind, said = kinds[wanted]
        fits = isinstance(value, kind) and (wanted == "bool" or not isinstance(value, bool))
        items = {"Sequence[str]": str, "Sequence[int]": int}.get(wanted, object)
        if not fits or (isinstance(value, list) and not all(type(item) is items for item in value)):
            raise table.wrong(key, f"is not {said}", f"Write it as {said}.")
    return value
