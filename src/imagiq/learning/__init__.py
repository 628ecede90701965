"""What imagiq asks of whoever trains models, and how a learner is found by name.

Importing this module loads neither numpy nor a deep learning framework: only the worker that trains needs them.
"""

from __future__ import annotations

import difflib
import inspect
import os
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast, runtime_checkable

from imagiq.errors import Conflict, Misuse, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "JSON",
    "SPLIT",
    "Advance",
    "Begins",
    "Cases",
    "Checks",
    "Classifies",
    "Draws",
    "Initial",
    "Later",
    "Learner",
    "Overlaps",
    "Pending",
    "Predictions",
    "Remembers",
    "Resources",
    "Trained",
    "Training",
    "Weights",
    "begin",
    "close",
    "find",
    "own_parameters",
    "predict",
    "predict_each",
    "processors",
    "watch_training",
]

_PART_OF_MEMORY: Final = 0.9
"""What all workers together take of a machine's memory, if nobody says."""

SPLIT: Final = "split"
"""A task's parameter that states by which rule each site parts its cases."""

JSON: TypeAlias = "bool | int | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""What a schema may hold. There are no floats: a decimal is written as a string."""

Weights: TypeAlias = "Mapping[str, NDArray[Any]]"
"""Name of a tensor -> its values."""

Cases: TypeAlias = Any
"""A set of cases. Its learner knows what it is; imagiq asks only for its ``len``."""

_GROUP = "imagiq.learners"


@dataclass(frozen=True, kw_only=True, eq=False)
class Initial:
    """A model before its first training, and what must be equal at two sites for their models to be averaged.

    Attributes:
        weights: The tensors that training starts from.
        architecture: What computes with the tensors, and its sizes.
        channels: What the model is given, in order.
        labels: Name of a class -> its number in the truth.
        preprocessing: What is done to a case before the model sees it.
    """

    weights: Weights
    architecture: Mapping[str, JSON]
    channels: tuple[str, ...]
    labels: Mapping[str, int]
    preprocessing: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a training gave.

    Attributes:
        weights: Tensors of the same names, shapes and types as those that training started from.
        metrics: Name -> value, measured on the training cases.
        cases: Number of training cases.
        state: What the site's next training in the same study begins with, such as the optimiser's moments. It stays at
            the site, is never sent, and may be lost; only the learner knows what it says.
    """

    weights: Weights
    metrics: Mapping[str, float]
    cases: int
    state: bytes = b""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What a model says about cases, beside what is true. A case is one patient.

    Attributes:
        truth: Integers [cases], the class of each case: 0 or 1, or from 0 to below the number of classes.
        score: Floats in [0, 1]: [cases], the probability of class 1 of two; or [cases, classes], that of each class.
    """

    truth: NDArray[np.integer[Any]]
    score: NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlaps:
    """How well the regions that a model draws in images cover the true ones, patient by patient.

    All are counts of pixels or voxels, integers [patients, regions], in the order of the patients' first images.

    Attributes:
        regions: Names of the regions, such as ``whole tumour``; a region may be several labels taken together.
        true: What truly belongs to a region.
        drawn: What the model says belongs to it.
        common: What both say.
    """

    regions: tuple[str, ...]
    true: NDArray[np.integer[Any]]
    drawn: NDArray[np.integer[Any]]
    common: NDArray[np.integer[Any]]


class Learner(Protocol):
    """Whoever can start, train and apply one kind of model.

    Contract: the same arguments give the same result to the last bit, on every call. All randomness comes from
    ``seed``, which is public and recorded. Neither ``weights`` nor ``cases`` is changed. Training returns tensors of
    the names, shapes and types that it was given. What cannot be trained on (no cases, other shapes, a loss that
    diverges) raises :class:`~imagiq.errors.ContractBroken` and is never passed over; a message names no value of a
    case. Cases of one class only, or a single case, are enough to train.
    """

    def initial(self, seed: int) -> Initial:
        """Return the untrained model that this seed gives."""

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> Trained:
        """Train from these weights.

        Args:
            weights: Where to start.
            cases: What to train on.
            budget: Number of updates of the optimiser, 0 or more.
            seed: Public randomness of this training, such as the order of the cases.
            progress: How far the study is, from 0 at its start to 1 at its end. Learning rates follow it.
        """

    def predict(self, weights: Weights, cases: Cases) -> Predictions | Overlaps:
        """Apply the model to cases, in their order: what it says of their classes, or how well its masks cover theirs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """One training: all that it depends on, and whom to tell how far it is.

    Attributes:
        weights: Where to start.
        cases: What to train on.
        budget: Number of updates of the optimiser, 0 or more.
        seed: Public randomness of this training.
        progress: How far the study is, from 0 at its start to 1 at its end.
        until: How far it will be when this training ends; None: nobody knows.
        state: The :attr:`Trained.state` of the site's last training in the study; empty: there was none, or it is lost.
        tell: Called now and then, from any thread; changes nothing.
    """

    weights: Weights
    cases: Cases
    budget: int
    seed: int
    progress: float
    until: float | None = None
    state: bytes = b""
    tell: Callable[[Advance], None] | None = None


class Pending(Protocol):
    """A training that was begun.

    Contract: :meth:`result` may be asked for more than once and says or raises the same each time. After
    :meth:`cancel` it need not come to an end, and nobody asks for its result.
    """

    def result(self) -> Trained:
        """Wait until the training is over; return what it gave, or raise why it failed."""

    def cancel(self) -> None:
        """Give up what nobody waits for any more."""


class Later:
    """A training that is done when its result is asked for, in the thread that asks."""

    def __init__(self, train: Callable[[], Trained]) -> None:
        self._train = train
        self._trained: Trained | None = None

    def result(self) -> Trained:
        """Train, unless it is done already."""
        if self._trained is None:
            self._trained = self._train()
        return self._trained

    def cancel(self) -> None:
        """There is nothing to give up."""


@runtime_checkable
class Begins(Protocol):
    """A learner that trains beside whoever asks, or that keeps a state at the site.

    Contract: as :class:`Learner`'s; the same training gives the same result to the last bit, however many others run.
    """

    def begin(self, training: Training) -> Pending:
        """Begin a training, and return at once."""


@runtime_checkable
class Remembers(Protocol):
    """A learner whose models need what stays at the site to be applied there, such as BatchNorm that is kept local.

    Contract: with an empty state it is :meth:`Learner.predict`.
    """

    def predict_with(self, weights: Weights, cases: Cases, *, state: bytes) -> Predictions | Overlaps:
        """Apply a model with the state of the site's last training; see :attr:`Trained.state`."""


@runtime_checkable
class Checks(Protocol):
    """A learner that can tell before any training whether cases are those that its task is about."""

    def check(self, cases: Cases) -> None:
        """Check cases, of which there is at least one.

        Raises:
            ContractBroken: they are not; the message says what differs.
        """


def begin(learner: Learner, training: Training) -> Pending:
    """Begin a training; a learner that cannot run beside others trains when the result is asked for."""
    if isinstance(learner, Begins):
        return learner.begin(training)
    return Later(
        lambda: learner.train(
            training.weights,
            training.cases,
            budget=training.budget,
            seed=training.seed,
            progress=training.progress,
        )
    )


def predict(learner: Learner, weights: Weights, cases: Cases, state: bytes = b"") -> Predictions | Overlaps:
    """Apply a model at a site, with what stays there if the learner needs it."""
    if state and isinstance(learner, Remembers):
        return learner.predict_with(weights, cases, state=state)
    return learner.predict(weights, cases)


def predict_each(learner: Learner, asked: Iterable[tuple[Weights, Cases, bytes]]) -> list[Predictions | Overlaps]:
    """Apply models to cases, each with its state; side by side if the learner trains beside whoever asks."""
    if not isinstance(learner, Begins):
        return [predict(learner, *one) for one in asked]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - nothing else here needs it

    with ThreadPoolExecutor(max_workers=16) as threads:
        return list(threads.map(lambda one: predict(learner, *one), asked))


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What learners may use of this machine. It is the owner's own setting and never part of a study.

    Attributes:
        workers: How many trainings run side by side, each in a process of its own.
        threads: How many threads each has; 0: the processors of this machine, shared fairly. Another number may change
            the last bits of what is trained.
        device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto``: the GPU with the most free memory, else the CPU.
        memory_mib: How much memory a worker, or a program, may take; None: nine tenths of this machine's, shared fairly.
        programs: Name -> command and arguments: the programs that the learner ``command`` may run here. A study names
            one of these names; it never brings a command.
        folder: Where programs are run from; None: where imagiq runs.
        scratch: A folder that exists, where cases are written for workers and programs, and which is emptied by who makes
            it; None: the system's.
    """

    workers: int = 1
    threads: int = 0
    device: str = "auto"
    memory_mib: int | None = None
    programs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folder: Path | None = None
    scratch: Path | None = None

    @property
    def memory_bytes(self) -> int | None:
        """How much memory each worker or program may take; None: that cannot be told."""
        if self.memory_mib is not None:
            return self.memory_mib * 2**20
        if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
            return None
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return int(whole * _PART_OF_MEMORY / max(1, self.workers))


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@runtime_checkable
class Draws(Protocol):
    """A learner whose models draw masks into images, so that people can look at them.

    Contract: the same arguments give the same masks, and neither is changed. :meth:`predict` counts these very masks.
    """

    def draw(self, weights: Weights, images: NDArray[np.float32], *, state: bytes = b"") -> NDArray[np.uint8]:
        """Return what the model draws.

        Args:
            weights: The model.
            images: [images, channels, *space], as they stand in :class:`~imagiq.imaging.ImageCases`: not preprocessed.
            state: What stays at the site for it; see :attr:`Trained.state`. Empty: nothing.

        Returns:
            Masks [images, *space], labels by the numbers of :attr:`Initial.labels`; 0 lies outside all.
        """


@runtime_checkable
class Classifies(Protocol):
    """A learner whose models say of which class an image is.

    Contract: the same arguments give the same numbers, and neither is changed.
    """

    def classify(self, weights: Weights, images: NDArray[np.float32], *, state: bytes = b"") -> NDArray[np.float64]:
        """Return the probability of each class, in the order of their numbers: [images, classes].

        Args:
            weights: The model.
            images: [images, channels, *space]; not preprocessed.
            state: What stays at the site for it; see :attr:`Trained.state`. Empty: nothing.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """How far a training is.

    Attributes:
        done: Updates of the optimiser that are done.
        budget: How many there will be.
        loss: The loss of the newest of them, if it was measured.
    """

    done: int
    budget: int
    loss: float | None = None


def watch_training(learner: Learner, tell: Callable[[Advance], None]) -> None:
    """Let a learner tell how far its trainings are, if it can.

    A learner can if it has a method ``watch(tell)``. It calls ``tell`` from the thread that trains, now and then, and
    never so often that it costs time; what it tells changes nothing that it returns.

    Args:
        learner: Any learner.
        tell: Called with each advance from now on.
    """
    watch = getattr(learner, "watch", None)
    if callable(watch):
        watch(tell)


def close(learner: Learner) -> None:
    """End the workers of a learner; without a method ``close`` it has none."""
    end = getattr(learner, "close", None)
    if callable(end):
        end()


def find(name: str, parameters: Mapping[str, object], resources: Resources | None = None) -> Learner:
    """Make the learner that an installed package offers under this name.

    A package offers learners in its entry points, group ``imagiq.learners``: name -> a callable that takes the
    parameters as keywords and returns a :class:`Learner`.

    Args:
        name: Name of the learner, such as ``logistic``.
        parameters: The learner's own settings.
        resources: What it may use of this machine; given to a learner whose callable takes ``resources``.

    Returns:
        The learner.

    Raises:
        Unsupported: No installed package offers it, or what it needs is not installed.
        Conflict: Two installed packages offer different learners under this name.
        Misuse: A parameter is missing or is none of this learner's.
    """
    make, parameters = _load(_chosen(name)), own_parameters(parameters)
    local = {"resources": resources or Resources()} if "resources" in inspect.signature(make).parameters else {}
    _check_parameters(name, make, parameters)
    return make(**parameters, **local)


def own_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's parameters without what it states of the split of the cases: that is for sites, not for learners."""
    return {name: value for name, value in parameters.items() if name != SPLIT}


def _chosen(name: str) -> EntryPoint:
    offered = entry_points(group=_GROUP)
    chosen = {point.value: point for point in offered if point.name == name}
    if not chosen:
        names = ", ".join(sorted({point.name for point in offered})) or "none"
        raise Unsupported(
            "learner-unknown",
            f"No installed package offers a learner called {name!r}.",
            f"Install the package that does, or take one of the installed learners: {names}.",
        )
    if len(chosen) > 1:
        raise Conflict(
            "learner-ambiguous",
            f"Several installed packages offer a learner called {name!r}: {', '.join(sorted(chosen))}.",
            "Uninstall all but one of them.",
        )
    return next(iter(chosen.values()))


def _load(point: EntryPoint) -> Callable[..., Learner]:
    try:
        return cast("Callable[..., Learner]", point.load())
    except (ImportError, AttributeError) as error:
        raise Unsupported(
            "learner-not-loadable",
            f"The learner {point.name!r} ({point.value}) cannot be loaded: {error}.",
            "Install what it needs, or reinstall its package.",
        ) from error


def _check_parameters(name: str, make: Callable[..., Learner], parameters: Mapping[str, object]) -> None:
    known = {key: value for key, value in inspect.signature(make).parameters.items() if key != "resources"}
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for key in parameters:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            advice = f"Did you mean {close[0]!r}?" if close else f"It has these: {', '.join(known)}."
            raise Misuse("learner-parameter-unknown", f"The learner {name!r} has no parameter {key!r}.", advice)
    for key, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and key not in parameters:
            raise Misuse(
                "learner-parameter-missing",
                f"The learner {name!r} needs the parameter {key!r}.",
                f"Add {key!r} to the learner's parameters.",
            )
