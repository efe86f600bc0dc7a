"""``python -m concertino.docs``: serve the kind ``docs``."""

from concertino.docs.handler import worker

if __name__ == "__main__":
    worker.run()
