"""`python -m gadlib`: the command line."""

import sys

from gadlib.cli.parser import main

if __name__ == "__main__":
    sys.exit(main())
