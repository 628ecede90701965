"""Models to safetensors files and back; files that are no models are refused in words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from imagiq.bench import Bench
from imagiq.bench.checkout import checkout
from imagiq.bench.import_model import import_model
from imagiq.bench.reading import held_model
from imagiq.bench.repository import open_repository
from imagiq.bench.tensor_file import read_header
from imagiq.errors import Conflict, Corrupt, Misuse, NotFound, Refused, Unreachable, Unsupported
from imagiq.merging import blobs_of, numpy_dtype, weights_of
from imagiq.objects import DTYPE_SIZES, Group, Recipe, Schema, Tensor
from tests.bench.repositories import Repositories


def file_of(path: Path, header: object, data: bytes = b"", *, length: int | None = None) -> Path:
    """Write a file with this header, whatever it is."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)
    return path


def tensor(dtype: str, shape: Any, start: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


# ------------------------------------------------------------------------------------------------ checkout


def test_a_model_of_all_dtypes_is_read_by_the_safetensors_library(sites: Repositories, tmp_path: Path) -> None:
    """Also large and empty tensors, single numbers, names in any script; and back again, to the same schema."""
    rng = np.random.default_rng(7)
    bench = sites.writable("a")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tensors: list[Tensor] = []
    for dtype, size in DTYPE_SIZES.items():
        for shape in ((3, 5), (), (0, 2), (257, 300)):
            name = f"Schicht/{dtype}.{'x'.join(map(str, shape)) or 'ü'}"
            kind = numpy_dtype(dtype)
            raw = rng.integers(0, 2 if dtype == "bool" else 100, size=(*shape, size), dtype=np.uint8)
            if "float" in dtype:
                raw[..., -1] = 0x3C if size > 1 else 0x21  # finite
            arrays[name] = np.ascontiguousarray(raw).reshape(-1).view(kind).reshape(shape)
            rule = "mean" if "float" in dtype else "equal"
            tensors.append(Tensor(name, dtype, shape, rule))
    half = len(tensors) // 2
    schema = Schema(
        groups=(Group("weights", tuple(tensors[:half])), Group("control", tuple(tensors[half:]))), labels={"sick": 1}
    )
    entry = bench.commit(
        Recipe("note", 1), tree=bench.models.keep(schema, blobs_of(schema, arrays)), metrics={"loss": "0.25"}
    )
    written = checkout(bench, entry, tmp_path / "model.safetensors")

    with safetensors.safe_open(written.model, "numpy") as opened:
        assert set(opened.keys()) == set(arrays)
        assert opened.metadata()["imagiq.commit"] == entry.digest
        assert json.loads(opened.metadata()["imagiq.metrics"]) == {"loss": "0.25"}
    with written.model.open("rb") as file:
        header = read_header(file, written.model.stat().st_size)
        for stored in header.tensors:
            assert stored.start % DTYPE_SIZES[stored.dtype] == 0, "numbers stand where they can be mapped into memory"
            file.seek(stored.start)
            assert file.read(stored.nbytes) == arrays[stored.name].tobytes()
    said = json.loads(written.description.read_text())
    assert said["schema"]["labels"] == {"sick": 1}
    assert said["signed"]["recipe"]["name"] == "note"

    again = import_model(bench, written.model)
    assert again.commit.tree == entry.commit.tree, "the same schema, the same blobs"
    bench.store.close()


def test_a_folder_gets_a_file_called_by_the_commit(sites: Repositories, tmp_path: Path) -> None:
    bench = open_repository(sites["a"])
    written = checkout(bench, bench.history[sites.merge], tmp_path / "new" / "folder")
    assert written.model == tmp_path / "new" / "folder" / f"{sites.merge[:12]}.safetensors"
    assert written.description.suffix == ".json"
    loaded = safetensors.numpy.load_file(written.model)
    assert loaded["weight"].tolist() == [[2.5] * 3] * 2


def test_nothing_is_replaced_unless_one_insists(sites: Repositories, tmp_path: Path) -> None:
    bench = open_repository(sites["a"])
    for taken in ("m.safetensors", "m.json"):
        (tmp_path / taken).write_text("mine")
        with pytest.raises(Conflict) as caught:
            checkout(bench, bench.history[sites.merge], tmp_path / "m.safetensors")
        assert caught.value.code == "file-exists"
        assert (tmp_path / taken).read_text() == "mine"
        assert checkout(bench, bench.history[sites.merge], tmp_path / "m.safetensors", force=True).nbytes > 0
        for file in tmp_path.glob("m.*"):
            file.unlink()


def test_a_damaged_model_leaves_no_file(sites: Repositories, tmp_path: Path) -> None:
    _, blobs = sites.tree_of("a", sites.merge)
    sites.object("a", blobs[0]).write_bytes(bytes(32))
    bench = open_repository(sites["a"])
    with pytest.raises(Corrupt, match="damaged"):
        checkout(bench, bench.history[sites.merge], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_model_or_not_here_is_not_checked_out(sites: Repositories, tmp_path: Path) -> None:
    bench = open_repository(sites["c"])
    for commit, code in ((sites.merge, "model-not-held"), (sites.attest, "model-none")):
        with pytest.raises(NotFound) as caught:
            checkout(bench, bench.history[commit], tmp_path)
        assert caught.value.code == code


def test_a_place_that_cannot_be_written_is_said_to_be(sites: Repositories, tmp_path: Path) -> None:
    bench = open_repository(sites["a"])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unreachable) as caught:
        checkout(bench, bench.history[sites.merge], tmp_path / "file" / "x")
    assert caught.value.code == "file-unwritable"


# -------------------------------------------------------------------------------------------------- import


@pytest.fixture
def bench(sites: Repositories) -> Any:
    opened = sites.writable("a")
    yield opened
    opened.store.close()


def test_a_file_of_the_safetensors_library_becomes_a_root_commit(bench: Bench, tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "b": np.arange(70_000, dtype=np.float32),
        "a": np.arange(4, dtype=np.int64),
        "mask": np.array([True, False]),
    }
    safetensors.numpy.save_file(arrays, tmp_path / "m.safetensors", metadata={"author": "somebody"})
    entry = import_model(bench, tmp_path / "m.safetensors")
    assert (entry.commit.recipe.name, entry.commit.parents, entry.commit.study) == ("import", (), None)
    assert entry.digest in bench.models.complete
    found = held_model(bench, entry)
    weights = weights_of(found.schema, found.tree, bench.store.read)
    assert set(weights) == set(arrays)
    assert all(np.array_equal(weights[name], arrays[name]) for name in arrays)
    assert b"somebody" not in entry.commit.raw
    assert b"m.safetensors" not in entry.commit.raw


def test_a_file_that_claims_a_schema_which_it_does_not_have_gets_its_own(
    bench: Bench, tmp_path: Path, sites: Repositories
) -> None:
    claimed = bench.models.tree(bench.history[sites.merge].commit.tree or "").schema  # type: ignore[arg-type]
    safetensors.numpy.save_file({"x": np.ones(2)}, tmp_path / "m", metadata={"imagiq.schema": claimed})
    entry = import_model(bench, tmp_path / "m")
    assert [t.name for t in held_model(bench, entry).schema.tensors] == ["x"]
    for nonsense in ("", "0" * 64, "../x", sites.merge):
        safetensors.numpy.save_file({"x": np.ones(2)}, tmp_path / "m", metadata={"imagiq.schema": nonsense})
        assert import_model(bench, tmp_path / "m").commit.tree == entry.commit.tree


F = "F32"
MALFORMED: dict[str, tuple[Any, bytes, str]] = {
    "no object": (b"[]", b"", "no JSON object"),
    "no JSON": (b"{nope", b"", "no JSON"),
    "not UTF-8": (b'{"\xff":1}', b"", "no JSON"),
    "behind the object": (b'{} {"a":1}', b"", "no JSON"),
    "nested too deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", "no JSON"),
    "a number of 5000 digits": (b'{"a":' + b"9" * 5000 + b"}", b"", "no JSON"),
    "duplicate names": (
        b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        b"x",
        "twice",
    ),
    "duplicate keys": (b'{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}', b"x", "twice"),
    "overlap": ({"a": tensor(F, [2], 0, 8), "b": tensor(F, [2], 4, 12)}, bytes(12), "overlaps"),
    "the same twice": ({"a": tensor(F, [2], 0, 8), "b": tensor(F, [2], 0, 8)}, bytes(8), "overlaps"),
    "a hole": ({"a": tensor(F, [1], 0, 4), "b": tensor(F, [1], 8, 12)}, bytes(12), "hole"),
    "a hole at the start": ({"a": tensor(F, [1], 4, 8)}, bytes(8), "hole"),
    "bytes behind": ({"a": tensor(F, [1], 0, 4)}, bytes(5), "its tensors end at"),
    "cut off": ({"a": tensor(F, [1], 0, 4)}, bytes(3), "its tensors end at"),
    "a shape too large": ({"a": tensor(F, [2**62, 2**62], 0, 4)}, bytes(4), "do not take"),
    "a size beyond 64 bits": ({"a": tensor(F, [2**64], 0, 0)}, b"", "no list"),
    "an overflow to zero": ({"a": tensor(F, [2**32, 2**32], 0, 0)}, b"", "do not take"),
    "a negative size": ({"a": tensor(F, [-1], 0, 4)}, bytes(4), "no list"),
    "a boolean size": ({"a": tensor("U8", [True], 0, 1)}, b"x", "no list"),
    "a fraction": (b'{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', b"x", "no integer"),
    "NaN": (b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}', b"x", "no integer"),
    "a size as text": ({"a": tensor("U8", ["1"], 0, 1)}, b"x", "no list"),
    "too many axes": ({"a": tensor("U8", [1] * 17, 0, 1)}, b"x", "at most 16"),
    "offsets backwards": ({"a": tensor("U8", [1], 1, 0)}, b"x", "no beginning and end"),
    "one offset": ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}}, b"x", "no beginning and end"),
    "no offsets": ({"a": {"dtype": "U8", "shape": [1]}}, b"x", "alone"),
    "more than is known": ({"a": {**tensor("U8", [1], 0, 1), "x": 1}}, b"x", "alone"),
    "a tensor that is none": ({"a": [1]}, b"x", "alone"),
    "metadata that are no texts": ({"__metadata__": {"a": 1}}, b"", "texts by name"),
    "metadata that are none": ({"__metadata__": []}, b"", "texts by name"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_words_and_leaves_no_commit(bench: Bench, tmp_path: Path, case: str) -> None:
    header, data, says = MALFORMED[case]
    before = len(bench.history)
    with pytest.raises(Corrupt) as caught:
        import_model(bench, file_of(tmp_path / "m", header, data))
    assert caught.value.code == "safetensors-form"
    assert says in caught.value.what
    assert len(bench.history) == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "safetensors-form"),
        (b"1234567", "safetensors-form"),
        ((2**63).to_bytes(8, "little") + b"{}", "safetensors-form"),
        ((3).to_bytes(8, "little") + b"{}", "safetensors-form"),
        (b"\x80\x04\x95" + b"pickle" * 10, "safetensors-form"),
        ((0).to_bytes(8, "little"), "safetensors-form"),
        ((2).to_bytes(8, "little") + b"{}", "safetensors-empty"),
    ],
)
def test_what_is_no_safetensors_file_is_refused(bench: Bench, tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(Corrupt) as caught:
        import_model(bench, tmp_path / "m")
    assert caught.value.code == code


def test_a_header_beyond_its_limit_is_not_read(bench: Bench, tmp_path: Path) -> None:
    with (tmp_path / "m").open("wb") as file:
        file.write((2**30).to_bytes(8, "little"))
        file.truncate(2**30 + 8)  # a hole in the file: it takes no space
    with pytest.raises(Corrupt, match="more than 16777216"):
        import_model(bench, tmp_path / "m")


def test_too_many_tensors_are_refused(bench: Bench, tmp_path: Path) -> None:
    header = {f"{n}": tensor("U8", [0], 0, 0) for n in range(100_001)}
    with pytest.raises(Corrupt, match="more than 100000"):
        import_model(bench, file_of(tmp_path / "m", header))


@pytest.mark.parametrize("dtype", ["C64", "F4", "F8_E8M0", "", 7, None, "float32"])
def test_numbers_of_an_unknown_kind_are_refused_with_those_that_are_known(
    bench: Bench, tmp_path: Path, dtype: object
) -> None:
    header = {"a": {"dtype": dtype, "shape": [1], "data_offsets": [0, 8]}}
    with pytest.raises(Unsupported) as caught:
        import_model(bench, file_of(tmp_path / "m", header, bytes(8)))
    assert "BF16" in caught.value.advice


@pytest.mark.parametrize("name", ["", "x" * 513, "\ud800"])
def test_a_name_that_no_schema_takes_is_refused(bench: Bench, tmp_path: Path, name: str) -> None:
    with pytest.raises(Corrupt) as caught:
        import_model(bench, file_of(tmp_path / "m", {name: tensor("U8", [1], 0, 1)}, b"x"))
    assert caught.value.code == "safetensors-schema"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_with_the_tensor_that_holds_it(
    bench: Bench, tmp_path: Path, value: float
) -> None:
    safetensors.numpy.save_file({"good": np.ones(3), "bad": np.array([1.0, value])}, tmp_path / "m")
    before = len(bench.history)
    with pytest.raises(Refused, match="'bad'") as caught:
        import_model(bench, tmp_path / "m")
    assert caught.value.code == "gate-not-finite"
    assert len(bench.history) == before


def test_a_bool_that_is_neither_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(Corrupt) as caught:
        import_model(bench, file_of(tmp_path / "m", {"a": tensor("BOOL", [2], 0, 2)}, b"\x00\x02"))
    assert caught.value.code == "tensor-bool"


def test_files_that_are_not_there_or_no_files_are_said_to_be(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        import_model(bench, tmp_path / "nowhere")
    assert missing.value.code == "file-missing"
    with pytest.raises(Misuse):
        import_model(bench, tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(Misuse):
            import_model(bench, tmp_path / "pipe")


def test_who_only_reads_imports_nothing(sites: Repositories, tmp_path: Path) -> None:
    with pytest.raises(Misuse) as caught:
        import_model(open_repository(sites["a"]), tmp_path / "m")
    assert caught.value.code == "bench-read-only"


@given(data=st.data())
def test_a_file_with_any_change_is_a_model_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any few bytes of a good file changed, cut or doubled: the header check accepts or refuses it, and never fails."""
    folder = tmp_path_factory.mktemp("fuzz")
    good = file_of(folder / "good", {"a": tensor(F, [2], 0, 8), "b": tensor("U8", [3], 8, 11)}, bytes(11)).read_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        what = data.draw(st.sampled_from(["set", "cut", "insert", "drop"]))
        if what == "set" and content:
            content[at] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del content[at:]
        elif what == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        else:
            del content[at : at + 2]
    file = folder / "m"
    file.write_bytes(content)
    with file.open("rb") as opened:
        try:
            header = read_header(opened, len(content))
        except (Corrupt, Unsupported):
            return
    assert sum(t.nbytes for t in header.tensors) < len(content)
