"""Chains of transforms of somebody else, such as MONAI's: varied by our seeds, image by image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from imagiq.errors import ContractBroken, Unsupported
from imagiq.learning.deep.sampling import Transforms

__all__ = ["chain_called", "seeded_chain"]

GROUP: Final = "imagiq.transforms"


def chain_called(name: str) -> Transforms:
    """Return the chain that an installed package offers in its entry points, group ``imagiq.transforms``.

    What stands there is a callable without arguments that returns the chain.

    Raises:
        Unsupported: no installed package offers it.
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                return seeded_chain(point.load()())
            except (ImportError, AttributeError) as error:
                raise Unsupported(
                    "transforms-not-loadable",
                    f"The transforms '{name}' ({point.value}) cannot be loaded: {error}.",
                    "Install what they need, or reinstall their package.",
                ) from error
    known = ", ".join(sorted(point.name for point in entry_points(group=GROUP))) or "none"
    raise Unsupported(
        "transforms-unknown",
        f"No installed package offers transforms called '{name}'.",
        f"Install the package that does, or take one of these: {known}.",
    )


def seeded_chain(chain: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Transforms:
    """Return a chain that works on dictionaries as one of ours.

    The chain is given ``image`` float32 [channels, *space] and ``label`` [1, *space], or [1] for a class, and returns
    the same, of any size that all images share. If it has MONAI's ``set_random_state``, it is called for each image.
    """

    def apply(image: Tensor, truth: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        set_state = getattr(chain, "set_random_state", None)
        if set_state is not None:
            set_state(seed=seed)
        done = chain({"image": image.clone(), "label": truth[None].clone()})
        varied, label = (torch.as_tensor(np.asarray(done[key])) for key in ("image", "label"))
        if varied.ndim != image.ndim or label.shape[0] != 1 or (truth.ndim and label.shape[1:] != varied.shape[1:]):
            raise ContractBroken(
                "transforms-shape",
                f"The transforms give an image of shape {list(varied.shape)} and a label of shape {list(label.shape)}.",
                "They keep the axes, and move image and label alike.",
            )
        return varied.float(), label[0].to(truth.dtype)

    return apply
