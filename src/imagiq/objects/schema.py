"""A schema: which tensors a model has, in which order and groups, and what it takes to use them rightly.

The cutting of tensors into blobs follows from the schema alone, so every site cuts alike, and what did not change
between two models is the same blob.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from imagiq.errors import BudgetSpent, Corrupt, Misuse, Unsupported
from imagiq.objects.canonical import JSON, Fields, decode, encode
from imagiq.objects.digest import Digest, digest_of

__all__ = [
    "BLOB_LIMIT",
    "DTYPE_SIZES",
    "FORMAT",
    "Group",
    "Schema",
    "Tensor",
    "check_format",
    "parse_schema",
]

FORMAT = 1
BLOB_LIMIT = 4 * 2**20
LARGE_TENSOR = 64 * 2**10
SCHEMA_LIMIT = 4 * 2**20
TENSOR_LIMIT = 100_000
TREE_BYTES_LIMIT = 2**41

DTYPE_SIZES: Mapping[str, int] = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "uint32": 4,
    "int32": 4,
    "uint64": 8,
    "int64": 8,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
}
"""Bytes per element of each kind of number that a tensor may hold."""

_INTEGER_RULES = frozenset({"mean", "max", "min", "equal"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a model.

    Attributes:
        name: Its name, unique in the schema.
        dtype: One of :data:`DTYPE_SIZES`.
        shape: Its sizes; a 0 makes it empty, no size at all makes it a single number.
        rule: How a merge treats it: "mean"; for integers also "max", "min" or "equal"; for bool only "equal".
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    rule: str = "mean"

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self.elements * DTYPE_SIZES[self.dtype]


@dataclass(frozen=True, slots=True)
class Group:
    """Tensors that belong together, such as the weights, or the control variates beside them."""

    name: str
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Schema:
    """What a model looks like; shared by a whole lineage. Two schemas are equal when their bytes are.

    Attributes:
        groups: The tensors in order, in named groups.
        architecture: Name and parameters of the network.
        channels: What each input channel holds.
        labels: The label map: name to number.
        preprocessing: What is done to a case before the network sees it.
        raw: The bytes as they came; made from the other fields when left out. Unknown fields live on in them.
    """

    groups: tuple[Group, ...]
    architecture: Mapping[str, JSON] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    preprocessing: Mapping[str, JSON] = field(default_factory=dict)
    raw: bytes = b""

    def __post_init__(self) -> None:
        """Check the tensors, make the bytes, and that others will read them."""
        _check_tensors(self.groups)
        if not self.raw:
            object.__setattr__(self, "raw", encode(_to_json(self)))
            try:
                parse_schema(self.raw)
            except (BudgetSpent, Corrupt) as error:
                raise Misuse("schema-form", error.what, "Correct the schema.") from error

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same schema, fields that this version does not know included."""
        return isinstance(other, Schema) and other.raw == self.raw

    def __hash__(self) -> int:
        """Return the hash of the bytes."""
        return hash(self.raw)

    @cached_property
    def digest(self) -> Digest:
        """The schema's name."""
        return digest_of(self.raw)

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors in order."""
        return tuple(tensor for group in self.groups for tensor in group.tensors)

    @cached_property
    def nbytes(self) -> int:
        """How many bytes one model state takes."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @cached_property
    def blob_sizes(self) -> tuple[int, ...]:
        """The size in bytes of each blob of a model state, in order; never 0."""
        return tuple(_blob_sizes(self.groups))


def _blob_sizes(groups: tuple[Group, ...]) -> Iterator[int]:
    for group in groups:
        run = 0
        for tensor in group.tensors:
            if tensor.nbytes < LARGE_TENSOR:
                run += tensor.nbytes
            else:
                yield from _cut(run)
                yield from _cut(tensor.nbytes)
                run = 0
        yield from _cut(run)


def _cut(nbytes: int) -> Iterator[int]:
    whole, rest = divmod(nbytes, BLOB_LIMIT)
    yield from (BLOB_LIMIT for _ in range(whole))
    if rest:
        yield rest


def _check_tensors(groups: tuple[Group, ...]) -> None:
    names: set[str] = set()
    total = 0
    for group in groups:
        for tensor in group.tensors:
            total += tensor.nbytes if tensor.dtype in DTYPE_SIZES else 0
            names.add(tensor.name)
            if problem := _problem_with(tensor):
                raise Misuse("schema-tensor", f"Tensor '{tensor.name}' {problem}.", "Correct the schema.")
    if len(names) != sum(len(group.tensors) for group in groups):
        raise Misuse("schema-names", "Two tensors of a schema have one name.", "Give each tensor a name of its own.")
    if len({group.name for group in groups}) != len(groups):
        raise Misuse("schema-names", "Two groups of a schema have one name.", "Give each group a name of its own.")
    if len(names) > TENSOR_LIMIT or total > TREE_BYTES_LIMIT:
        raise Misuse("schema-size", "The model is larger than 100,000 tensors or 2 TiB.", "Split it into two.")


def _problem_with(tensor: Tensor) -> str:
    if tensor.dtype not in DTYPE_SIZES:
        return f"has the unknown dtype '{tensor.dtype}'"
    if not tensor.name or len(tensor.name) > 512:
        return "has a name that is empty or longer than 512 characters"
    if len(tensor.shape) > 16 or any(size < 0 for size in tensor.shape) or tensor.nbytes > TREE_BYTES_LIMIT:
        return "has a shape that is negative or too large"
    if tensor.dtype == "bool":
        return "" if tensor.rule == "equal" else "is bool and can only have the rule 'equal'"
    if "float" in tensor.dtype:
        return "" if tensor.rule == "mean" else "holds floats and can only have the rule 'mean'"
    return "" if tensor.rule in _INTEGER_RULES else f"has the unknown rule '{tensor.rule}'"


def _to_json(schema: Schema) -> dict[str, JSON]:
    fields: dict[str, JSON] = {
        "format": FORMAT,
        "kind": "schema",
        "groups": [
            {
                "name": group.name,
                "tensors": [
                    {"name": t.name, "dtype": t.dtype, "shape": list(t.shape), "rule": t.rule} for t in group.tensors
                ],
            }
            for group in schema.groups
        ],
        "architecture": schema.architecture,
        "channels": list(schema.channels),
        "labels": schema.labels,
        "preprocessing": schema.preprocessing,
    }
    return fields


def check_format(fields: Fields, what: str) -> None:
    """Check that an object is of the format that this version reads.

    Raises:
        Unsupported: it is of another format.
    """
    version = fields.integer("format")
    if version != FORMAT:
        raise Unsupported(
            "format-version",
            f"{what.capitalize()} has format {version}; this imagiq reads {FORMAT}.",
            "Upgrade imagiq." if version > FORMAT else "It is of a draft that was never frozen: make it anew.",
        )


def parse_schema(raw: bytes) -> Schema:
    """Read a foreign schema.

    Raises:
        BudgetSpent: larger than 4 MiB.
        Corrupt: malformed.
        Unsupported: of another format.
    """
    what = "a schema"
    fields = decode(raw, limit=SCHEMA_LIMIT, what=what)
    check_format(fields, what)
    if fields.text("kind") != "schema":
        raise Corrupt("object-kind", "An object that should be a schema is none.", "Get it again from its author.")
    groups = tuple(
        Group(group.text("name", limit=512), tuple(map(_parse_tensor, group.objects("tensors", limit=TENSOR_LIMIT))))
        for group in fields.objects("groups", limit=1024)
    )
    labels = Fields(fields.mapping("labels"), "a schema's labels")
    try:
        return Schema(
            groups=groups,
            architecture=fields.mapping("architecture"),
            channels=fields.texts("channels", limit=1024),
            labels={name: labels.integer(name) for name in labels.values},
            preprocessing=fields.mapping("preprocessing"),
            raw=raw,
        )
    except Misuse as error:
        raise Corrupt("schema-form", error.what, "Get the schema again from its author.") from error


def _parse_tensor(fields: Fields) -> Tensor:
    sizes = Fields({str(axis): size for axis, size in enumerate(fields.array("shape", limit=16))}, "a tensor's shape")
    shape = tuple(sizes.integer(axis) for axis in sizes.values)
    return Tensor(fields.text("name"), fields.text("dtype"), shape, fields.text("rule"))
