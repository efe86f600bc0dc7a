"""``python -m concertino.synthesizer``: serve the kind ``synthesize``."""

from concertino.synthesizer.handler import worker

if __name__ == "__main__":
    worker.run()
