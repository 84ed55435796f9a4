"""``python -m byte_bot`` is ``byte-bot``."""

from __future__ import annotations

from byte_bot.cli import main

if __name__ == "__main__":
    main()
