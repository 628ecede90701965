"""What Hypothesis draws: JSON values, schemas, drafts of commits."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from imagiq.keys import FeedKey, SiteKey, certify
from imagiq.objects import (
    DTYPE_SIZES,
    JSON,
    Certificate,
    Draft,
    Group,
    Parent,
    Recipe,
    Schema,
    Seen,
    Tensor,
    decimal,
    digest_of,
)

FEDERATION = digest_of(b"a federation")
SITE = SiteKey(bytes(32))
FEED = FeedKey(b"\x01" * 32)

digests = st.integers(0, 2**16).map(lambda number: digest_of(str(number).encode()))
texts = st.text(st.characters(codec="utf-8"), max_size=20)
safe_integers = st.integers(-(2**53) + 1, 2**53 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | safe_integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects: st.SearchStrategy[Mapping[str, JSON]] = st.dictionaries(texts, values, max_size=5)
metrics = st.dictionaries(texts, safe_integers | floats.map(decimal), max_size=4)


@st.composite
def tensors(draw: st.DrawFn, name: str) -> Tensor:
    """A tensor of up to about 20 MB, often near the sizes at which cutting changes."""
    dtype = draw(st.sampled_from(sorted(DTYPE_SIZES)))
    width = DTYPE_SIZES[dtype]
    edges = [0, 1, 2**16 // width - 1, 2**16 // width, 2**22 // width, 2**22 // width + 1, 2**23 // width]
    elements = draw(st.sampled_from(edges) | st.integers(0, 5000))
    shape = draw(st.sampled_from([(elements,), (1, elements), (elements, 1, 1)]))
    integer = "float" not in dtype and dtype != "bool"
    rule = draw(st.sampled_from(["mean", "max", "min", "equal"])) if integer else "equal" if dtype == "bool" else "mean"
    return Tensor(name, dtype, shape, rule)


@st.composite
def groups(draw: st.DrawFn) -> tuple[Group, ...]:
    counts = draw(st.lists(st.integers(0, 6), max_size=3))
    return tuple(
        Group(f"group {place}", tuple(draw(tensors(f"{place}.{number}")) for number in range(count)))
        for place, count in enumerate(counts)
    )


schemas = st.builds(
    Schema,
    groups=groups(),
    architecture=objects,
    channels=st.lists(texts, max_size=3).map(tuple),
    labels=st.dictionaries(texts, st.integers(0, 2**53 - 1), max_size=3),
    preprocessing=objects,
)


def certificate(number: int = 1) -> Certificate:
    return certify(SITE, federation=FEDERATION, feed=FEED.public, number=number, ends=None)


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    first = draw(st.booleans())
    return Draft(
        federation=FEDERATION,
        charter=draw(digests),
        feed=FEED.public,
        number=1 if first else draw(st.integers(2, 2**53 - 1)),
        previous=None if first else draw(digests),
        certificate=certificate(draw(st.integers(1, 9))) if first else None,
        recipe=Recipe(draw(texts), draw(st.integers(1, 9)), draw(objects), draw(st.none() | st.integers(0, 2**53 - 1))),
        created=draw(texts),
        study=draw(st.none() | digests),
        parents=tuple(
            draw(st.sets(st.builds(Parent, st.sampled_from(["base", "input", "state"]), digests), max_size=4))
        ),
        tree=draw(st.none() | digests),
        action=draw(st.none() | digests),
        metrics=draw(metrics),
        cases=draw(st.none() | st.integers(0, 2**53 - 1)),
        seen=tuple(draw(st.sets(st.builds(Seen, digests, st.integers(1, 9), digests), max_size=4))),
    )
