"""A report as JSON, and back: strictly, by the types of the values.

Pictures are written as base64 of zlib; everything else as it is. ``docs/report.md`` describes the document.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import types
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import Corrupt, Unsupported
from imagiq.report.values import Report

__all__ = ["VERSION", "parse_report", "report_as_json"]

VERSION: Final = 1
MOST_PIXELS: Final = 4096 * 4096


def report_as_json(report: Report, *, pictures: bool = True) -> dict[str, Any]:
    """Return a report as JSON.

    Args:
        report: The report.
        pictures: Whether to write the pixels of pictures; without, they keep their scores.
    """
    document: dict[str, Any] = {"report": VERSION, **_written(report)}
    if not pictures:
        for picture in document["pictures"]:
            for key in ("image", "truth", "drawn"):
                del picture[key]
    return document


def _written(value: Any) -> Any:  # noqa: ANN401 - any value of a report
    if is_dataclass(value):
        return {each.name: _written(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, np.ndarray):
        raw = zlib.compress(np.ascontiguousarray(value, np.uint8).tobytes(), 9)
        return {"shape": list(value.shape), "zlib": base64.b64encode(raw).decode("ascii")}
    if isinstance(value, Mapping):
        return {str(key): _written(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    return value if not isinstance(value, str) else str(value)


def parse_report(raw: bytes) -> Report:
    """Read a report that was written as JSON with its pictures.

    Raises:
        Corrupt: it is none.
        Unsupported: a newer imagiq wrote it.
    """
    try:
        document = json.loads(raw)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _damaged("it is not JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("report"), int):
        raise _damaged("it does not say which version of a report it is")
    if document["report"] != VERSION:
        raise Unsupported(
            "report-version",
            f"The report was written as version {document['report']}; this imagiq reads version {VERSION}.",
            "Take the newest imagiq, or run the simulation again.",
        )
    found = _read(Report, document, "the report")
    if not isinstance(found, Report):
        raise _damaged("it holds something else")
    return found


def _damaged(why: str) -> Corrupt:
    return Corrupt("report-damaged", f"What the simulation left for a report is damaged: {why}.", "Run it again.")


def _read(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - the types of the values say what it is
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        chosen = [one for one in get_args(kind) if one is not type(None)]
        return None if value is None else _read(chosen[0], value, where)
    if is_dataclass(kind):
        return _read_fields(kind, value, where)
    if origin is not None:
        return _read_several(kind, origin, value, where)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _damaged(f"something in {where} is not as it should be")
    return value


def _read_several(kind: Any, origin: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - as above
    if origin is np.ndarray:
        return _read_pixels(value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(get_args(kind)[0], item, where) for item in value)
    if issubclass(origin, Mapping) and isinstance(value, dict):
        return {key: _read(get_args(kind)[1], item, where) for key, item in value.items()}
    raise _damaged(f"something in {where} is not as it should be")


def _read_fields(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, dict):
        raise _damaged(f"something in {where} is not as it should be")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in value:
            values[each.name] = _read(hints[each.name], value[each.name], f"{where}, '{each.name}'")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise _damaged(f"'{each.name}' is missing in {where}")
    return kind(**values)


def _read_pixels(value: Any, where: str) -> NDArray[np.uint8]:  # noqa: ANN401 - as above
    try:
        height, width = (int(side) for side in value["shape"])
        size = height * width
        if min(height, width) < 1 or size > MOST_PIXELS:
            raise _damaged(f"a picture in {where} is too large")
        reader = zlib.decompressobj()
        raw = reader.decompress(base64.b64decode(value["zlib"], validate=True), size + 1)
        return np.frombuffer(raw, np.uint8).reshape(height, width)
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise _damaged(f"a picture in {where} cannot be read") from error
