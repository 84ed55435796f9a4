"""``byte-sim`` and ``python -m simulator``: the command line, or a sentence about what is missing for it."""

from __future__ import annotations

import sys

try:
    from simulator.cli import main
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] in ("simulator", "byte_bot"):
        raise
    sys.exit(f"byte-sim needs {error.name}: in the clone, `make setup`, or pip install '.[sim]'")

if __name__ == "__main__":
    main()
