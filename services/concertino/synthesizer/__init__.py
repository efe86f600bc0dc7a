"""The synthesizer: weighs what the workers found and writes the report. It cites only what it has checked."""
