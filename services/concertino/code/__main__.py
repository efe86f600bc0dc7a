"""``python -m concertino.code``: serve the kind ``code``."""

from concertino.code.handler import worker

if __name__ == "__main__":
    worker.run()
