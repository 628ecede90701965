"""Render the first screen of the imaging demo's report, for README.md: ``make picture``.

It needs Chromium in the path. What it shows was made by imagiq from phantoms; nothing in it is drawn by hand.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

WIDTH, HEIGHT = 1100, 800
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main() -> int:
    """Take a picture of a report's page; return the exit code."""
    page, picture = (Path(argument).absolute() for argument in sys.argv[1:3])
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"There is no browser to render with: install one of {', '.join(BROWSERS)}.", file=sys.stderr)
        return 1
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    command = [browser, *options, f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    print(f"Wrote {picture}: {picture.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
