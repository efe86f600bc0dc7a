"""A worker of your own: the licences that a project declares, quoted from its files.

Run it beside the services, and requests about licences reach it: ``CTN_NATS_URL=... python examples/licenses.py``
"""

import re

from concertino.worker import Context, Finding, Findings, Locator, Passage, Subtask, Worker
from concertino.worker.reading import folders

METADATA = re.compile(r"(^|/)(pyproject\.toml|setup\.(cfg|py)|Cargo\.toml|package\.json|pom\.xml)$")
LICENCE = re.compile(r"(^|/)(UNLICENSE|LICEN[CS]E|COPYING)[^/]*$")
WORDING = {"MIT": "Permission is hereby granted", "ISC": "Permission to use, copy", "BSD": "Redistribution and use in source"}
TITLE = re.compile(rf"(?i).*(\blicen[cs]e\b|public domain|{'|'.join(WORDING.values())}).*")  # not every text has one

worker = Worker(
    "licenses",
    "Names the licences (licenses) under which a project and its parts stand, from licence files and package metadata.",
    sources=["code"],
)


@worker.handle
def declared(brief: Subtask, context: Context) -> list[Finding] | Findings:
    """A plain function gets a thread, so reading files holds up nobody."""
    found = []
    for folder in folders(context):
        for file in folder.files(lambda path: bool(METADATA.search(path) or LICENCE.search(path))):
            text = folder.text(file.path) or ""
            context.evidence.saw(Passage(source=file.path, text=text, locator=Locator(lines=(1, text.count("\n") + 1))))
            title = LICENCE.search(file.path) and TITLE.search(text)
            for match in [title] if title else re.finditer(r".*(\blicen[cs]e\b\W*[=:>]|License ::).*", text):
                quote = context.evidence.quote(file.path, match[0])
                known = "".join(f" {name}, by its words" for name, words in WORDING.items() if words in match[0])
                claim = f"`{file.path}` declares{known}: {match[0].strip().rstrip(',')}"
                found.append(Finding(claim=claim, evidence=(quote,), quality=0.95, confidence=0.8))
    return found or Findings(gaps=("No file of the project declares a licence.",))


if __name__ == "__main__":
    worker.run()
