"""The site: a hospital's process. Sync, decide, act, commit."""

from imagiq.site.attempts import Attempts
from imagiq.site.mark import FileMark, HighWaterMark, MemoryMark
from imagiq.site.site import Local, Planned, Site
from imagiq.site.work import perform

__all__ = ["Attempts", "FileMark", "HighWaterMark", "Local", "MemoryMark", "Planned", "Site", "perform"]
