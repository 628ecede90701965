"""The learner ``command``: somebody's own program trains. Files in, files out; it need not know imagiq, nor be in Python.

A study names a program; which command that is, is written down at each site by its owner, in ``Resources.programs``. A
study never brings a command.

The program is called with one argument, a folder. It finds there

- ``job.json``: ``do`` (``initial``, ``train`` or ``predict``), ``seed``, for a training ``budget``, ``progress`` and
  ``until``, further ``channels``, ``labels`` and the task's own ``parameters``;
- ``weights.safetensors``: where to start; not for ``initial``;
- ``cases.safetensors``: ``images`` float32 [images, channels, *space], ``truth`` [images, *space] or [images], and
  ``patients`` int64 [images], the number of each image's patient; only ``images`` where a model is only applied;
- ``state``, if its last training here left one;

and writes there

- ``result/weights.safetensors``: the tensors of the same names, shapes and types, trained; for ``initial``, any;
- ``result/result.json``: ``metrics``, name -> number; for ``initial``, ``architecture`` and ``preprocessing``; may be absent;
- ``result/state``: what its next training here shall find; may be absent;
- for ``predict``, ``result/predictions.safetensors``: ``masks`` uint8 [images, *space] by the labels' numbers, or
  ``scores`` float32 or float64 [images, classes] in the order of the classes' numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from imagiq.errors import NotFound
from imagiq.learning import (
    Advance,
    Cases,
    Initial,
    Overlaps,
    Pending,
    Predictions,
    Resources,
    Trained,
    Training,
    Weights,
)
from imagiq.learning.beside import Beside
from imagiq.learning.counting import classified, overlaps
from imagiq.learning.fit import check_cases, check_fit, check_images, places_of
from imagiq.learning.handover import Handed, Handover, of_patients
from imagiq.learning.program import Program
from imagiq.learning.proxy import check_terms
from imagiq.learning.settings import SEGMENTATION, read_settings
from imagiq.learning.written import Written

__all__ = ["Command"]

PATIENCE_S: Final = 120.0


class Command:
    """A program of one's own that trains.

    Args:
        program: Its name among the programs that the owner of this machine lets run.
        channels: What each channel of an image is, in order.
        labels: Name of a label -> its number in the truth.
        task: ``segmentation`` or ``classification``.
        regions: Name -> labels that make up a region whose overlap is measured; absent: each label by itself.
        dims: 2 for slices, 3 for volumes.
        parameters: Handed to the program as they are.
        resources: What may be used of this machine; :attr:`Resources.workers` programs run side by side.

    Raises:
        NotFound: no program of this name may be run here.
        Misuse: another parameter is out of its range.
    """

    def __init__(
        self,
        *,
        program: str,
        channels: Sequence[str],
        labels: Mapping[str, int],
        task: str = SEGMENTATION,
        regions: Mapping[str, Sequence[str | int]] | None = None,
        dims: int = 2,
        parameters: Mapping[str, Any] | None = None,
        resources: Resources | None = None,
    ) -> None:
        given = {"channels": channels, "labels": labels, "dims": dims, **({"regions": regions} if regions else {})}
        self._settings = read_settings(task, given)
        local = resources or Resources()
        if program not in local.programs:
            known = ", ".join(sorted(local.programs)) or "none"
            raise NotFound(
                "program-unknown",
                f"No program called '{program}' may be run here.",
                f"Its owner may add it to [machine.programs]; there are: {known}.",
            )
        self._program = Program(
            program,
            tuple(local.programs[program]),
            local.folder,
            patience_s=PATIENCE_S,
            memory_bytes=local.memory_bytes if local.memory_mib is not None or not _drives_a_gpu(local) else None,
        )
        self._parameters = dict(parameters or {})
        self._handover = Handover(local.scratch)
        self._turns = threading.BoundedSemaphore(max(1, local.workers))
        self._told: Callable[[Advance], None] = lambda _: None

    def check(self, cases: Cases) -> None:
        """Check that cases are those that the task is about; raise what differs."""
        check_cases(self._settings, cases)

    def initial(self, seed: int) -> Initial:
        """Return the untrained model that the program makes."""
        written = self._run({"do": "initial", "seed": seed}, {})
        said = written.result()
        return Initial(
            weights=written.tensors("weights"),
            architecture={"program": self._program.name, **said.mapping("architecture")},
            channels=self._settings.channels,
            labels=dict(self._settings.labels),
            preprocessing=said.mapping("preprocessing"),
        )

    def begin(self, training: Training) -> Pending:
        """Begin a training, and return at once."""
        check_terms(training.budget, training.progress)
        check_fit(self._settings, training.cases)
        stop = threading.Event()
        return Beside(lambda: self._train(training, stop), stop.set)

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> Trained:
        """Train, and wait for it; see :class:`~imagiq.learning.Learner`."""
        return self.begin(Training(weights=weights, cases=cases, budget=budget, seed=seed, progress=progress)).result()

    def _train(self, training: Training, stop: threading.Event) -> Trained:
        job = {
            "do": "train",
            "budget": training.budget,
            "seed": training.seed,
            "progress": training.progress,
            "until": training.until,
        }
        cases = self._handover.cases(training.cases)
        written = self._run(job, training.weights, cases=cases, state=training.state, stop=stop)
        trained = written.tensors("weights", like=training.weights)
        return Trained(
            weights=trained, metrics=written.result().numbers(), cases=len(training.cases), state=written.state()
        )

    def predict(self, weights: Weights, cases: Cases) -> Predictions | Overlaps:
        """Apply a model to cases, patient by patient."""
        return self.predict_with(weights, cases, state=b"")

    def predict_with(self, weights: Weights, cases: Cases, *, state: bytes) -> Predictions | Overlaps:
        """As :meth:`predict`, with what the program's last training here left."""
        check_fit(self._settings, cases)
        handed = self._handover.cases(cases)
        written = self._run({"do": "predict", "seed": 0}, weights, cases=handed, state=state)
        truth, patients = places_of(self._settings, cases), of_patients(cases)
        if self._settings.kind == SEGMENTATION:
            masks = written.masks(self._settings, cases.truth.shape)
            return overlaps(self._settings, truth, patients, masks)
        return classified(truth, patients, written.scores(self._settings, len(truth)))

    def draw(self, weights: Weights, images: NDArray[np.float32], *, state: bytes = b"") -> NDArray[np.uint8]:
        """Return the masks that a model draws."""
        check_images(self._settings, images)
        handed = self._handover.images(images)
        try:
            written = self._run({"do": "predict", "seed": 0}, weights, cases=handed, state=state)
            places = written.masks(self._settings, (len(images), *images.shape[2:]))
        finally:
            self._handover.drop(handed)
        return np.array(self._settings.classes, np.uint8)[places]

    def close(self) -> None:
        """Remove what was handed over."""
        self._handover.close()

    def _run(
        self,
        job: Mapping[str, Any],
        weights: Weights,
        *,
        cases: Handed | None = None,
        state: bytes = b"",
        stop: threading.Event | None = None,
    ) -> Written:
        """Run the program once, and return what it wrote; its folder is gone when this returns."""
        terms = {"channels": self._settings.channels, "labels": dict(self._settings.labels)}
        with self._turns, self._program.folder(self._handover.folder) as folder:
            folder.put_json("job.json", {**job, **terms, "parameters": self._parameters})
            if weights:
                save_file(
                    {name: np.asarray(one, order="C") for name, one in weights.items()},
                    folder.at("weights.safetensors"),
                )
            if cases is not None:
                folder.link("cases.safetensors", cases.path)
            if state:
                folder.put("state", state)
            self._program.run(folder, stop or threading.Event())
            if cases is not None:
                self._handover.check_untouched(cases)
            return Written(self._program.name, folder.read_results())


def _drives_a_gpu(resources: Resources) -> bool:
    """Tell whether a program may use a GPU here. Its drivers reserve far more memory than they use, which is no measure."""
    return resources.device != "cpu" and any(Path("/dev", name).exists() for name in ("nvidiactl", "kfd"))
