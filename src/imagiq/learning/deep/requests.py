"""What a worker is asked for, and what it answers: between frames and :class:`NetworkLearner`."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load, save

from imagiq.clock import SystemClock
from imagiq.errors import Unsupported
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Advance, Overlaps, Training, Weights
from imagiq.learning.deep.chains import chain_called
from imagiq.learning.deep.network_learner import NetworkLearner
from imagiq.learning.deep.networks import build
from imagiq.learning.frames import Frame
from imagiq.learning.settings import read_settings

__all__ = ["Answer", "Requests", "Say"]

KEPT_CASES: Final = 32
TOLD_EVERY_S: Final = 0.2

Answer = tuple[dict[str, Any], list[bytes]]
Say = Callable[[Mapping[str, Any]], None]


class Requests:
    """A worker's memory from one request to the next: networks that were built, cases that were prepared."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._learners: dict[str, NetworkLearner] = {}
        self._cases: OrderedDict[str, ImageCases] = OrderedDict()
        self._clock = SystemClock()

    def answer(self, frame: Frame, say: Say) -> Answer:
        """Do what a frame asks for.

        Args:
            frame: The request.
            say: Tells how far it is; raises if it was given up.
        """
        header = frame.header
        answers = {"initial": self._initial, "train": self._train, "predict": self._predict, "draw": self._draw}
        if header["do"] not in answers:
            raise Unsupported("worker-request", f"A worker cannot '{header['do']}'.", "Report it.")
        return answers[header["do"]](self._learner(header["task"]), frame, self._seldom(say))

    def _seldom(self, say: Say) -> Say:
        """Return a way to tell that costs nothing when it is called often; the first and the last word always pass."""
        told_s = float("-inf")

        def tell(said: Mapping[str, Any]) -> None:
            nonlocal told_s
            now_s = self._clock.now_s()
            if now_s - told_s >= TOLD_EVERY_S or said["done"] == said["budget"]:
                told_s = now_s
                say(said)

        return tell

    def _learner(self, task: Mapping[str, Any]) -> NetworkLearner:
        key = json.dumps(task, sort_keys=True)
        if key not in self._learners:
            settings = read_settings(task["kind"], task["parameters"])
            chain = chain_called(settings.augmentation.transforms) if settings.augmentation.transforms else None
            self._learners[key] = NetworkLearner(settings, lambda: build(settings), self._device, transforms=chain)
        return self._learners[key]

    def _initial(self, learner: NetworkLearner, frame: Frame, _: Say) -> Answer:
        found = learner.initial(frame.header["seed"])
        said = {
            "is": "initial",
            "names": list(found.weights),
            "architecture": found.architecture,
            "channels": found.channels,
            "labels": found.labels,
            "preprocessing": found.preprocessing,
        }
        return said, [_packed(found.weights)]

    def _train(self, learner: NetworkLearner, frame: Frame, say: Say) -> Answer:
        header = frame.header

        def tell(advance: Advance) -> None:
            say({"done": advance.done, "budget": advance.budget, "loss": advance.loss})

        trained = learner.train(
            Training(
                weights=load(frame.parts[0]),
                cases=self._cases_in(header["cases"]),
                budget=header["budget"],
                seed=header["seed"],
                progress=header["progress"],
                until=header["until"],
                state=frame.parts[1],
                tell=tell,
            )
        )
        said = {"is": "trained", "metrics": dict(trained.metrics), "cases": trained.cases}
        return said, [_packed(trained.weights), trained.state]

    def _predict(self, learner: NetworkLearner, frame: Frame, say: Say) -> Answer:
        cases = self._cases_in(frame.header["cases"])
        found = learner.predict(load(frame.parts[0]), cases, frame.parts[1], _counting(say))
        if isinstance(found, Overlaps):
            said = {"is": "overlaps", "regions": found.regions}
            return said, [save({"true": found.true, "drawn": found.drawn, "common": found.common})]
        return {"is": "predictions"}, [save({"truth": found.truth, "score": found.score})]

    def _draw(self, learner: NetworkLearner, frame: Frame, say: Say) -> Answer:
        with safe_open(frame.header["cases"]["path"], framework="np") as file:
            images = file.get_tensor("images")
        drawn = learner.draw(load(frame.parts[0]), images, frame.parts[1], _counting(say))
        return {"is": "drawn"}, [save({"drawn": drawn})]

    def _cases_in(self, handed: Mapping[str, Any]) -> ImageCases:
        """Return the cases of a file that the parent wrote."""
        name = handed["name"]
        if name not in self._cases:
            with safe_open(handed["path"], framework="pt") as file:
                texts = file.metadata()
                arrays: dict[str, NDArray[Any]] = {key: file.get_tensor(key).numpy() for key in file.keys()}  # noqa: SIM118
            self._cases[name] = ImageCases(
                images=arrays["images"],
                truth=arrays["truth"],
                patients=np.char.zfill(arrays["patients"].astype(np.str_), 12),
                channels=tuple(json.loads(texts["channels"])),
                labels=json.loads(texts["labels"]),
            )
        self._cases.move_to_end(name)
        while len(self._cases) > KEPT_CASES:
            self._cases.popitem(last=False)
        return self._cases[name]


def _counting(say: Say) -> Callable[[int, int], None]:
    return lambda done, budget: say({"done": done, "budget": budget})


def _packed(weights: Weights) -> bytes:
    return save(dict(weights))
