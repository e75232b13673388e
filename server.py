"""`python server.py` is the same as `overture serve`."""

import sys

from overture.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
