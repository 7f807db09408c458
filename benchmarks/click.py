"""Durable clicks against bare uvicorn returning the same redirect, in turns with other designs.

    python -m benchmarks.click [--rounds 5] [--seconds 3]

As benchmarks/pixel.py, with links of one address: each token is read, checked for stopped addresses, recorded, and led
on after the commit.
"""

from .race import race

if __name__ == "__main__":
    race(__doc__, "click")
