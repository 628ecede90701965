"""The page: well-formed, alone, without harm, and as small as it should be."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from imagiq.report import Point, Report, Way, Work
from imagiq.report.page import page
from imagiq.simulation import report_of, simulate
from tests.report.reports import HOSTILE, by_hand, long_history, read, said, score
from tests.simulation.drawings import drawn_outcome
from tests.simulation.wards import cases_of, scenario

OUTSIDE = {"src", "href", "xlink:href", "action", "poster", "data", "srcset", "formaction"}


@pytest.fixture(scope="module")
def drawn() -> Report:
    return report_of(drawn_outcome())


def test_a_page_is_well_formed_and_loads_nothing(drawn: Report) -> None:
    for tag, attributes in read(drawn).seen:
        for name, value in attributes.items():
            if name in OUTSIDE:
                assert (value or "").startswith(("data:image/png;base64,", "#")), (tag, name)
    text = page(drawn)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_every_id_stands_once_and_every_name_of_one_is_there(drawn: Report) -> None:
    seen = read(drawn).seen
    ids = [attributes["id"] for _, attributes in seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in seen:
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids


def test_every_figure_says_what_it_shows_or_stands_beside_its_numbers(drawn: Report) -> None:
    for tag, attributes in read(drawn).seen:
        if tag == "svg" and attributes.get("class") != "paths":
            assert (
                "aria-label" in attributes or attributes.get("aria-hidden") == "true" or "aria-labelledby" in attributes
            )


def test_a_page_shows_slices_of_shareable_patients_and_names_none(drawn: Report) -> None:
    text = page(drawn)
    assert [picture.rank for picture in drawn.pictures[:3]] == ["best", "median", "worst"]
    assert {picture.site for picture in drawn.pictures} == {"east", "north", "west"}
    assert text.count("data:image/png") == len(drawn.pictures)
    assert "secret" not in text


def test_patients_that_are_not_shareable_are_not_shown_unless_asked_for() -> None:
    report = report_of(drawn_outcome(is_shareable=False))
    assert not report.pictures
    assert "--pictures" in said(report)
    assert "data:image" not in page(report)


def test_neither_nan_nor_none_stands_on_a_page(drawn: Report) -> None:
    words = re.findall(r"[A-Za-z]+", said(drawn))
    assert not {"nan", "NaN", "None", "inf"} & set(words)
    assert '"nan' not in page(drawn)


def test_hostile_names_are_text() -> None:
    report = by_hand(score("alone", "mean", 0.7), title=HOSTILE, findings=(HOSTILE,), warnings=(HOSTILE,))
    site = replace(report.sites[0], name=HOSTILE, title=HOSTILE)
    commits = tuple(replace(one, way=HOSTILE, site=HOSTILE) for one in long_history(5))
    report = replace(
        report,
        sites=(site,),
        ways=(Way(title=HOSTILE, strategy=HOSTILE, recipe=HOSTILE, trouble=(HOSTILE,)),),
        commits=commits,
        work=(Work(site=HOSTILE, way=HOSTILE, kind="train", from_s=0.0, to_s=1.0),),
        points=(Point(way=HOSTILE, site=HOSTILE, measure="loss", at_s=1.0, value=0.5),),
        scores=(score(HOSTILE, "mean", 0.7), score(HOSTILE, "own", 0.7, site=HOSTILE, at=HOSTILE)),
        versions={HOSTILE: HOSTILE},
    )
    scripts = [tag for tag, _ in read(report).seen if tag == "script"]
    assert len(scripts) == 1
    assert "<script>alert" not in page(report)
    assert "{{ 7*7 }}" in said(report)


def test_a_report_without_anything_is_a_page() -> None:
    report = by_hand(sites=(), ways=(), measures=())
    assert "Nothing was measured yet" in said(report)


def test_one_site_and_one_commit_are_enough() -> None:
    outcome = simulate(scenario("local", names=("east",)), cases=cases_of(("east",)))
    assert "1 site (east)" in said(report_of(outcome))


def test_a_long_history_is_thinned_and_says_so() -> None:
    report = by_hand(score("fedavg", "mean", 0.7), commits=long_history(3000))
    text = page(report)
    assert "2910 of them are not drawn (the first 60 and the last 30 are)" in said(report)
    assert text.count('class="node') == 90
    assert "The first 400 of 3000 rows" in said(report)
    assert len(text) < 1_000_000


def test_a_report_of_four_sites_six_studies_and_many_commits_is_small() -> None:
    names = ("north", "east", "south", "west")
    ways = ("local", "fedavg", "cyclic", "incremental", "latest-of-each")
    outcome = simulate(scenario(*ways, names=names), cases=cases_of(names))
    report = report_of(outcome)
    assert len(page(report).encode()) < 3_000_000 / 4


def test_who_is_not_finished_is_told() -> None:
    report = report_of(simulate(scenario("fedavg", until_s=1.5), cases=cases_of()))
    text = said(report)
    assert "0 of 3 finished" in text
    assert "it waits for" in text


def test_trouble_is_told() -> None:
    way = Way(title="fedavg", strategy="fedavg", trouble=("east: learner-failed",))
    report = by_hand(ways=(way,), warnings=("fedavg: work failed again and again at east: learner-failed.",))
    assert "failed again and again at east" in said(report)


def test_ticks_are_written_with_the_digits_that_they_have() -> None:
    scores = [score(way, "mean", value) for way, value in (("alone", 0.06), ("fedavg", 0.9), ("gossip", 0.5))]
    ticks = re.findall(r'class="tick middle">([^<]+)<', page(by_hand(*scores)))
    assert {"0.00", "0.25", "0.50", "0.75"} <= set(ticks)
    assert not {"0.2", "0.8"} & set(ticks)


def test_patients_of_sites_that_took_no_part_are_counted_apart(drawn: Report) -> None:
    text = said(drawn)
    assert "patients held back 15 " in text
    assert "patients of unseen sites 7 " in text
    assert "tried on 15 (30 slices) that were never trained on" in text


def test_of_images_patients_are_counted_and_of_tables_cases(drawn: Report) -> None:
    sites = [site for site in drawn.sites if site.takes_part]
    patients, slices = (sum(getattr(site, name) or 0 for site in sites) for name in ("training", "training_images"))
    assert slices == 2 * patients
    assert f"trained on {patients} patients ({slices} slices)" in said(drawn)
    assert not re.search(r"\bcases (to train|held back|of unseen)", said(drawn))
    table = report_of(simulate(scenario("local", names=("east",)), cases=cases_of(("east",))))
    assert re.search(r"trained on \d+ cases and tried on", said(table))
    assert "slices" not in said(table)


def test_every_part_of_a_report_has_its_heading(drawn: Report) -> None:
    headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", page(drawn))
    assert headings == [
        "Dice, by way of working together",
        "At each site",
        "What each site gains over going alone",
        "Beyond its own patients",
        "What the models draw",
        "While they learnt",
        "Who was busy when",
        "How the models came about",
        "What it took",
        "What these numbers can and cannot tell",
        "Recipes",
    ]
    text = page(drawn)
    for curve in ("over virtual time", "over bytes"):
        assert curve in text, curve
    footer = text[text.index("<footer>") :]
    assert f"seed {drawn.seed}" in footer
    assert all(f"{name} {version}" in footer for name, version in drawn.versions.items())
    assert {"Python", "imagiq", "numpy"} <= set(drawn.versions)


def test_each_site_shows_what_share_of_the_pooled_line_it_reaches(drawn: Report) -> None:
    own = drawn.scores_of("own", "dice")
    together = {key: one for key, one in own.items() if key[0] != "pooled"}
    assert together
    text = page(drawn)
    panels = text[text.index('id="h-sites"') : text.index('id="h-gains"')]
    for (_, site, at), one in together.items():
        pooled = own["pooled", site, at]
        assert one.share_of_pooled == pytest.approx(one.value / pooled.value)
        assert pooled.share_of_pooled is None
        assert f'share">{one.share_of_pooled:.0%}<' in panels
    without = by_hand(score("alone", "own", 0.7, site="east", at="east"))
    assert 'class="num share"' not in page(without)


def test_every_commit_of_a_study_is_counted_also_those_that_only_tell_of_others() -> None:
    attest = replace(long_history(2)[1], commit="a" * 64, kind="attest")
    text = said(by_hand(score("fedavg", "mean", 0.7), commits=(*long_history(5), attest)))
    assert "6 commits, 1 of them only tells of others" in text
