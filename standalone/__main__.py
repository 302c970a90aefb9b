"""`python -m standalone`."""

import sys

from standalone.cli import main

if __name__ == "__main__":
    sys.exit(main())
