"""The command ``tracker``, and ``python -m tracker``."""

from .cli import main

if __name__ == "__main__":
    main()
