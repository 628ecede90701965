"""Reading tables of cases."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from imagiq.errors import ContractBroken, ImagiqError, Misuse, NotFound, Unreachable
from imagiq.learning.tables import SiteTable, Table, read_table, split_cases, standardised

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "hospital,age,smoker,colour,ill\n"
ROWS = (
    "a,50,1,red,1\na,60,0,blue,0\nb,40,1,green,0\na,70,1,red,0\nb,,0,red,1\na,?,0,blue,1\na,55,0,blue,1\nb,45,0,red,1\n"
)


def read(path: Path, text: str, **changes: Any) -> tuple[SiteTable, ...]:
    file = path / "cases.csv"
    file.write_text(text, encoding="utf-8")
    roles = {"site": "hospital", "label": "ill", "features": ("age", "smoker", "colour"), "categorical": ("colour",)}
    return read_table(file, **{**roles, **changes})


def split(path: Path, content: object) -> Path:
    file = path / "split.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_sites_come_in_the_order_of_their_rows_and_gaps_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + ROWS)
    assert [(site.name, len(site.train) + len(site.test), site.dropped) for site in found] == [("a", 4, 1), ("b", 2, 1)]


def test_lines_of_nothing_but_commas_are_passed_over(tmp_path: Path) -> None:
    whole, spaced = read(tmp_path, HEADER + ROWS), read(tmp_path, HEADER + ",,,,\n" + ROWS + " \n")
    assert [len(site.train) for site in whole] == [len(site.train) for site in spaced]


@pytest.mark.parametrize(
    "ages",
    [
        ["1e308", "-1e308", "0", "1"],
        ["5e-324", "1e-323", "0", "0"],
        ["1e-200", "2e-200", "0", "0"],
        ["1e200", "-1e200", "0", "1"],
    ],
)
def test_numbers_whose_deviation_cannot_be_computed_are_refused_instead_of_becoming_nan(
    ages: list[str], tmp_path: Path
) -> None:
    text = "hospital,age,ill\n" + "".join(f"a,{age},{number % 2}\n" for number, age in enumerate(ages * 3))
    with pytest.raises(ContractBroken) as caught:
        read(tmp_path, text, features=("age",), categorical=())
    assert caught.value.code == "table-range"


def test_a_class_in_words_is_answered_with_how_to_say_which_is_positive(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="positive = ") as caught:
        read(tmp_path, HEADER + "a,50,1,red,yes\n")
    assert caught.value.code == "table-label"


def test_a_negative_seed_and_a_split_nested_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="from the seed -1"):
        read(tmp_path, HEADER + ROWS, seed=-1)
    (tmp_path / "split.json").write_text("[" * 100_000)
    with pytest.raises(ContractBroken, match="not JSON"):
        read(tmp_path, HEADER + ROWS, split=tmp_path / "split.json")


def test_categories_become_columns_but_for_the_first(tmp_path: Path) -> None:
    a, b = read(
        tmp_path,
        HEADER + ROWS,
        split=split(tmp_path, {"a": {"train": [0, 1, 2, 3], "test": []}, "b": {"train": [0, 1], "test": []}}),
    )
    assert a.columns == b.columns == ("age", "smoker", "colour=green", "colour=red")
    assert a.train.x[:, 2].tolist() == [0.0] * 4
    assert (a.train.x[:, 3] > 0).tolist() == [True, False, True, False]
    assert (b.train.x[:, 2] > 0).tolist() == [True, False]


def test_categories_that_are_numbers_sort_as_numbers(tmp_path: Path) -> None:
    text = "hospital,level,ill\n" + "".join(f"a,{level},{level % 2}\n" for level in (10, 2, 1)) + "a,2.0,0\n"
    (site,) = read(tmp_path, text, features=("level",), categorical=("level",))
    assert site.columns == ("level=2", "level=10")


def test_training_cases_have_mean_0_and_deviation_1_and_set_the_scale_of_test_cases(tmp_path: Path) -> None:
    given = {"a": {"train": [0, 1, 3], "test": [2]}, "b": {"train": [0], "test": [1]}}
    a, _ = read(tmp_path, HEADER + ROWS, split=split(tmp_path, given))
    ages = np.array([50.0, 60.0, 55.0])
    assert a.train.x[:, 0] == pytest.approx((ages - 55.0) / ages.std(ddof=1))
    assert a.test.x[:, 0] == pytest.approx([(70.0 - 55.0) / ages.std(ddof=1)])
    assert a.train.y.tolist() == [1, 0, 1]


def test_what_is_constant_in_training_becomes_0() -> None:
    train = Table(x=np.array([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]]), y=np.zeros(3, np.int8))
    test = Table(x=np.array([[7.0, 3.0]]), y=np.zeros(1, np.int8))
    scaled = standardised(train, test)
    assert scaled[0].x.tolist() == [[0.0, -1.0], [0.0, 0.0], [0.0, 1.0]]
    assert scaled[1].x.tolist() == [[0.0, 0.0]]


def test_a_word_can_mean_the_positive_class(tmp_path: Path) -> None:
    text = "hospital,age,ill\na,1,yes\na,2,no\na,3,yes\n"
    given = split(tmp_path, {"a": {"train": [0, 1, 2], "test": []}})
    (site,) = read(tmp_path, text, features=("age",), categorical=(), positive="yes", split=given)
    assert site.train.y.tolist() == [1, 0, 1]


@pytest.mark.parametrize(("ones", "zeros"), [(30, 60), (3, 97), (50, 3)])
def test_a_drawn_split_keeps_the_shares_of_the_classes(ones: int, zeros: int) -> None:
    y = np.array([1] * ones + [0] * zeros, np.int8)
    train, test = split_cases(y, train_fraction=0.66, seed=1)
    assert sorted([*train, *test]) == list(range(len(y)))
    assert len(train) == math.floor(0.66 * len(y))
    assert int(y[train].sum()) == pytest.approx(0.66 * ones, abs=1.0)


def test_a_drawn_split_follows_its_seed() -> None:
    y = np.array([0, 1] * 20, np.int8)
    first, again, other = (split_cases(y, train_fraction=0.5, seed=seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("rows", "train", "test", "warnings"),
    [
        ("a,1,0\n", 1, 0, ("There is one training case.", "There are no test cases.")),
        ("a,1,0\na,2,1\n", 1, 1, ("There is one training case.", "There is one test case.")),
        ("a,1,1\n" * 6, 3, 3, ("All training cases are of one class.", "All test cases are of one class.")),
    ],
)
def test_a_site_of_one_class_or_one_case_is_read_with_a_warning(
    tmp_path: Path, rows: str, train: int, test: int, warnings: tuple[str, ...]
) -> None:
    (site,) = read(tmp_path, "hospital,age,ill\n" + rows, features=("age",), categorical=())
    assert (len(site.train), len(site.test), site.warnings) == (train, test, warnings)
    assert np.isfinite(site.train.x).all()


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    text = "\ufeffhospital,age,ill\r\na,1,0\r\n\r\na, 2 ,1\r\n"
    (site,) = read(tmp_path, text, features=("age",), categorical=())
    assert len(site.train) + len(site.test) == 2


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_table(tmp_path / "absent.csv", site="s", label="y", features=("x",))
    with pytest.raises(Unreachable):
        read_table(tmp_path, site="s", label="y", features=("x",))


def test_a_missing_column_is_named_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken) as error:
        read(tmp_path, HEADER + ROWS, features=("age", "smokr"), categorical=())
    assert "'smokr'" in error.value.what
    assert "'smoker'" in error.value.advice


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "table-columns"),
        (HEADER, "table-empty"),
        ("hospital,age,age,smoker,colour,ill\na,1,1,1,red,0\n", "table-columns"),
        (HEADER + "a,1,1,red\n", "table-row-length"),
        (HEADER + "a,1,1,red,2\n", "table-label"),
        (HEADER + ",1,1,red,0\n", "table-site"),
        (HEADER + "a,,1,red,0\n", "table-site-empty"),
        (HEADER + 'a,1,1,"red,0\n', "table-format"),
        (HEADER + "a,inf,1,red,0\n", "table-cell"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(ContractBroken) as error:
        read(tmp_path, text)
    assert error.value.code == code


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    file.write_bytes("site,x,y\nZürich,1,0\n".encode("latin-1"))
    with pytest.raises(ContractBroken, match="UTF-8"):
        read_table(file, site="site", label="y", features=("x",))


def test_a_cell_that_is_not_a_number_is_named_by_its_place_not_its_content(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken) as error:
        read(tmp_path, HEADER + "a,50,1,red,1\na,fifty,1,red,1\n")
    assert "Line 3" in error.value.what
    assert "'age'" in error.value.what
    assert "fifty" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"a": {"train": [0]}},
        {"a": {"train": [], "test": [0]}},
        {"a": {"train": [0, 1], "test": [1]}},
        {"a": {"train": [0, 4], "test": [1]}},
        {"a": {"train": [-1], "test": [1]}},
        {"a": {"train": [0.0], "test": [1]}},
        {"a": {"train": 0, "test": [1]}},
        {"a": [0]},
    ],
)
def test_a_split_that_does_not_fit_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ContractBroken):
        read(tmp_path, HEADER + ROWS, split=split(tmp_path, content))


def test_a_split_that_is_missing_or_torn_is_refused(tmp_path: Path) -> None:
    torn = tmp_path / "torn.json"
    torn.write_text("{")
    for path, kind in ((tmp_path / "absent.json", NotFound), (torn, ContractBroken), (tmp_path, Unreachable)):
        with pytest.raises(ImagiqError) as error:
            read(tmp_path, HEADER + ROWS, split=path)
        assert type(error.value) is kind


@pytest.mark.parametrize(
    "change",
    [
        {"features": ()},
        {"features": ("age", "age")},
        {"features": ("age", "ill"), "categorical": ()},
        {"features": ("age",), "categorical": ("colour",)},
        {"train_fraction": 1.0},
    ],
)
def test_contradicting_roles_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        read(tmp_path, HEADER + ROWS, **change)
