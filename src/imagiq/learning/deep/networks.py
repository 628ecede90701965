"""Networks by name: our own, MONAI's, and those that installed packages offer.

A name is looked up in lists that are written here, or among entry points that the owner of this machine has installed;
it is never a path to code.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from imagiq.errors import Misuse, Unsupported
from imagiq.learning.deep.plain import PlainConvNet, PlainUNet
from imagiq.learning.settings import SEGMENTATION, Settings

__all__ = ["batch_norms", "build", "local_names"]

GROUP: Final = "imagiq.networks"


@dataclass(frozen=True, slots=True)
class Offer:
    """Where MONAI keeps a network, and what it calls dimensions, channels in and channels out."""

    module: str
    dims: str = "spatial_dims"
    channels: str = "in_channels"
    classes: str = "out_channels"


_CLASSES: Final = "num_classes"
MASKS: Final[Mapping[str, Offer]] = {
    "UNet": Offer("unet"),
    "BasicUNet": Offer("basic_unet"),
    "DynUNet": Offer("dynunet"),
    "SegResNet": Offer("segresnet"),
    "AttentionUnet": Offer("attentionunet"),
    "VNet": Offer("vnet"),
    "HighResNet": Offer("highresnet"),
    "FlexibleUNet": Offer("flexible_unet"),
    "UNETR": Offer("unetr"),
    "SwinUNETR": Offer("swin_unetr"),
}
SCORES: Final[Mapping[str, Offer]] = {
    **{name: Offer("densenet") for name in ("DenseNet", "DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264")},
    **{name: Offer("resnet", channels="n_input_channels", classes=_CLASSES) for name in ("resnet10", "resnet18")},
    **{name: Offer("resnet", channels="n_input_channels", classes=_CLASSES) for name in ("resnet34", "resnet50")},
    **{name: Offer("senet", classes=_CLASSES) for name in ("SEResNet50", "SEResNet101", "SEResNext50")},
    "EfficientNetBN": Offer("efficientnet", classes=_CLASSES),
    "ViT": Offer("vit", classes=_CLASSES),
}


def build(settings: Settings) -> nn.Module:
    """Make the network that settings name, with weights drawn from PyTorch's own generator.

    Raises:
        Unsupported: no network of this name is known here, or what it needs is not installed.
        Misuse: it has no such parameter, or cannot be built from them.
    """
    name = settings.network.name
    make, fixed = _found(settings)
    parameters = inspect.signature(make).parameters
    given = settings.network.parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        _check_names(name, set(given), [key for key in parameters if key not in fixed])
    values = {key: _as_wanted(value, parameters.get(key)) for key, value in given.items() if key not in fixed}
    try:
        return make(**fixed, **values)
    except (TypeError, ValueError, AssertionError, NotImplementedError, KeyError, IndexError) as error:
        raise Misuse(
            "network-parameters",
            f"The network '{name}' cannot be built: {error}.",
            "Correct the network's parameters.",
        ) from error


def _found(settings: Settings) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Return what makes the network, and the arguments that follow from the images and labels."""
    name = settings.network.name
    own: dict[str, Callable[..., nn.Module]] = {"PlainUNet": PlainUNet, "PlainConvNet": PlainConvNet}
    monai = MASKS if settings.kind == SEGMENTATION else SCORES
    usual = Offer("")
    make: Callable[..., nn.Module] | None = own.get(name)
    if make is None and name in monai:
        usual = monai[name]
        make = _from_monai(name, usual)
    make = make or _installed(name)
    if make is None:
        known = [*own, *monai, *(point.name for point in entry_points(group=GROUP))]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        advice = f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(known)}."
        raise Unsupported("network-unknown", f"No network called '{name}' is known here.", advice)
    sizes = (settings.dims, len(settings.channels), len(settings.classes))
    return make, dict(zip((usual.dims, usual.channels, usual.classes), sizes, strict=True))


def _from_monai(name: str, offer: Offer) -> Callable[..., nn.Module]:
    try:
        make: Callable[..., nn.Module] = getattr(import_module(f"monai.networks.nets.{offer.module}"), name)
    except (ImportError, AttributeError) as error:
        raise Unsupported(
            "network-not-loadable",
            f"The network '{name}' is MONAI's, which is not installed or does not have it.",
            "Install it: pip install 'imagiq[learning]'",
        ) from error
    return make


def _installed(name: str) -> Callable[..., nn.Module] | None:
    """Return what an installed package offers under this name in its entry points, group ``imagiq.networks``."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                make: Callable[..., nn.Module] = point.load()
            except (ImportError, AttributeError) as error:
                raise Unsupported(
                    "network-not-loadable",
                    f"The network '{name}' ({point.value}) cannot be loaded: {error}.",
                    "Install what it needs, or reinstall its package.",
                ) from error
            return make
    return None


def _check_names(name: str, given: set[str], known: list[str]) -> None:
    for key in sorted(given):
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            advice = f"Did you mean '{close[0]}'?" if close else f"It has these: {', '.join(known)}."
            raise Misuse("network-parameters", f"The network '{name}' has no parameter '{key}'.", advice)


def _as_wanted(value: Any, parameter: inspect.Parameter | None) -> Any:  # noqa: ANN401 - what a network takes is its own
    """Return a parameter as a network takes it: lists are tuples; a decimal text is a number where one is usual."""
    if isinstance(value, list | tuple):
        return tuple(_as_wanted(item, parameter) for item in value)
    usual = None if parameter is None else parameter.default
    if isinstance(value, str) and isinstance(usual, float):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def batch_norms(network: nn.Module) -> list[str]:
    """Return the names of the layers that keep running statistics of what they saw: BatchNorm and its kin."""
    return [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, _NormBase) and (layer.track_running_stats if isinstance(layer, _InstanceNorm) else True)
    ]


def local_names(network: nn.Module) -> frozenset[str]:
    """Return the names of all tensors of BatchNorm layers: what stays at the site where BatchNorm is kept local."""
    layers = set(batch_norms(network))
    return frozenset(name for name in network.state_dict() if name.rpartition(".")[0] in layers)
