"""The site: a hospital's process. Sync, decide, act, commit."""

from imagiq.site.attempts import Attempts
from imagiq.site.judging import SCORES, marks_of, parse_scores, scores_of
from imagiq.site.mark import FileMark, HighWaterMark, MemoryMark
from imagiq.site.site import Local, Planned, Site
from imagiq.site.work import perform

__all__ = [
    "SCORES",
    "Attempts",
    "FileMark",
    "HighWaterMark",
    "Local",
    "MemoryMark",
    "Planned",
    "Site",
    "marks_of",
    "parse_scores",
    "perform",
    "scores_of",
]
