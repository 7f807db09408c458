"""Durable opens against bare uvicorn returning the same GIF, in turns with other designs.

    python -m benchmarks.pixel [--rounds 5] [--seconds 3] [--database]

Tracker runs twice, with its worker and with the projector standing still, which shows the answer path alone. Beside it
run a server with a commit per request (benchmarks/naive.py) and nginx's empty_gif with an access log. Each round is
compared with the mean of the bare rounds before and after it. CPU counts all processes until the journal is empty.
Absolute figures vary with the machine and the hour; the ratios are what is meant.
"""

from .race import race

if __name__ == "__main__":
    race(__doc__, "pixel")
