"""``python -m concertino.web``: serve the kind ``web``."""

from concertino.web.handler import worker

if __name__ == "__main__":
    worker.run()
