"""``python -m concertino.general``: serve the kind ``general``."""

from concertino.general.handler import worker

if __name__ == "__main__":
    worker.run()
