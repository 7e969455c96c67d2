"""`python -m relay.connector --write docs/connectors` renews the pages after a declaration has changed."""

import argparse
from pathlib import Path

from relay.connector.pages import shipped, write

parser = argparse.ArgumentParser(prog="python -m relay.connector", description="Write the pages of the connectors.")
parser.add_argument("--write", type=Path, required=True, metavar="FOLDER", help="where docs/connectors is")
write(parser.parse_args().write, shipped())
