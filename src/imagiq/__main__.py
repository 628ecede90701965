"""``python -m imagiq``."""

import sys

from imagiq.cli import main

if __name__ == "__main__":
    sys.exit(main())
