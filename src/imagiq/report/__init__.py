"""The report: values in, tables, SVG and HTML out."""

from imagiq.report.recipes import recipe_of, split_as_toml
from imagiq.report.tables import Table, csv_of, tables_of
from imagiq.report.values import Commit, Picture, Point, Report, Score, Site, Way, Work, score_of
from imagiq.report.written import parse_report, report_as_json

__all__ = [
    "Commit",
    "Picture",
    "Point",
    "Report",
    "Score",
    "Site",
    "Table",
    "Way",
    "Work",
    "csv_of",
    "parse_report",
    "recipe_of",
    "report_as_json",
    "score_of",
    "split_as_toml",
    "tables_of",
]
