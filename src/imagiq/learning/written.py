"""What somebody's program wrote, checked before anything of it is believed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from imagiq.errors import ContractBroken
from imagiq.learning import Weights
from imagiq.learning.settings import Settings

__all__ = ["Result", "Written"]

_LONGEST_NAME: Final = 100
_LARGEST: Final = sys.float_info.max
_DEEPEST: Final = 16


class Result:
    """The JSON beside the weights."""

    def __init__(self, program: str, values: Mapping[str, Any]) -> None:
        self._program = program
        self._values = values

    def mapping(self, key: str) -> dict[str, Any]:
        """Return a table; empty if it is not there."""
        value = self._values.get(key, {})
        if not isinstance(value, dict) or not _is_signable(value):
            raise self._wrong(f"'{key}' is no table of texts, whole numbers, true and false")
        return value

    def numbers(self) -> dict[str, float]:
        """Return the metrics."""
        metrics = self._values.get("metrics", {})
        if not isinstance(metrics, dict) or len(metrics) > 100:
            raise self._wrong("'metrics' is no table of at most 100 numbers")
        for name, value in metrics.items():
            if not _is_text(name) or not 1 <= len(name) <= _LONGEST_NAME:
                raise self._wrong(f"a metric has no name of 1 to {_LONGEST_NAME} characters")
            if isinstance(value, bool) or not isinstance(value, int | float) or _LARGEST < abs(value) < math.inf:
                raise self._wrong(f"the metric '{name}' is no number")
        return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}

    def _wrong(self, what: str) -> ContractBroken:
        return ContractBroken(
            "program-result", f"In the result.json of '{self._program}', {what}.", "Let the program write it right."
        )


def _is_signable(value: object, depth: int = 0) -> bool:
    if isinstance(value, dict | list):
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        return depth < _DEEPEST and all(_is_signable(item, depth + 1) for item in inner)
    return value is None or (isinstance(value, int) and abs(value) < 2**53) or _is_text(value)


def _is_text(value: object) -> bool:
    """Tell whether something is text that can be encoded: JSON can name halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


class Written:
    """The files that a program wrote as its results.

    Args:
        program: Its name.
        files: Content by name.
    """

    def __init__(self, program: str, files: Mapping[str, bytes]) -> None:
        self._program = program
        self._files = files

    def result(self) -> Result:
        """Return what stands beside the weights.

        Raises:
            ContractBroken: it is no JSON.
        """
        try:
            values = json.loads(self._files.get("result.json", b"{}"))
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise ContractBroken(
                "program-result", f"The result.json of '{self._program}' is no table of JSON.", "Let it write one."
            )
        return Result(self._program, values)

    def state(self) -> bytes:
        """Return what the program's next training here shall find."""
        return self._files.get("state", b"")

    def tensors(self, stem: str, *, like: Weights | None = None) -> dict[str, NDArray[Any]]:
        """Return the tensors of a file, all of them finite.

        Args:
            stem: The file's name without its ending.
            like: Tensors whose names, shapes and types they must have.

        Raises:
            ContractBroken: there is no such file, it is damaged, or holds other tensors or what is not finite.
        """
        name = f"{stem}.safetensors"
        if name not in self._files:
            raise ContractBroken(
                "program-nothing",
                f"The program '{self._program}' ended without writing result/{name}.",
                "Let it write its result there, in the folder that is its last argument.",
            )
        try:
            found: dict[str, NDArray[Any]] = load(self._files[name])
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ContractBroken(
                "program-file", f"The {name} of '{self._program}' is no whole safetensors file.", "Let it write one."
            ) from error
        if like is not None:
            self._check_like(found, like)
        for tensor, values in found.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ContractBroken(
                    "program-not-finite",
                    f"The program '{self._program}' wrote NaN or infinity into the tensor '{tensor}'.",
                    "Its training may have diverged: lower its learning rate.",
                )
        return found

    def _check_like(self, found: Weights, like: Weights) -> None:
        for name in sorted({*found, *like}):
            one, other = found.get(name), like.get(name)
            if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
                raise ContractBroken(
                    "program-weights",
                    f"The program '{self._program}' wrote the tensor '{name}' as {_form(one)}; it was {_form(other)}.",
                    "Let it write the tensors that it was given, of the same names, shapes and types.",
                )

    def masks(self, settings: Settings, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the masks that were drawn, as places in the task's classes.

        Raises:
            ContractBroken: there are none, of another shape, or with other labels.
        """
        masks = self.tensors("predictions").get("masks")
        if masks is None or masks.shape != shape or masks.dtype.kind not in "ui":
            raise self._no_predictions(f"'masks' as {_form(masks)}, not whole numbers {list(shape)}")
        places = np.searchsorted(settings.classes, masks).clip(0, len(settings.classes) - 1)
        if (np.asarray(settings.classes)[places] != masks).any():
            raise self._no_predictions("a label that the task does not name")
        return places.astype(np.uint8)

    def scores(self, settings: Settings, images: int) -> NDArray[np.float64]:
        """Return the probability of each class of each image.

        Raises:
            ContractBroken: there are none, of another shape, or no probabilities.
        """
        scores = self.tensors("predictions").get("scores")
        shape = (images, len(settings.classes))
        if scores is None or scores.shape != shape or scores.dtype.kind != "f":
            raise self._no_predictions(f"'scores' as {_form(scores)}, not floats {list(shape)}")
        if scores.min() < 0.0 or scores.max() > 1.0:
            raise self._no_predictions("scores that are no probabilities")
        return scores.astype(np.float64)

    def _no_predictions(self, what: str) -> ContractBroken:
        return ContractBroken(
            "program-predictions",
            f"The predictions.safetensors of '{self._program}' holds {what}.",
            "Let it write what docs/learning.md says.",
        )


def _form(array: NDArray[Any] | None) -> str:
    return "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
