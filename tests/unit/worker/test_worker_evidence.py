"""Quotes become evidence only where they stand, literally, in what was seen."""

from __future__ import annotations

import pytest

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.contracts.errors import QuoteNotSeen
from concertino.contracts.messages import Evidence, Locator, Passage
from concertino.contracts.subjects import Subjects
from concertino.model.port import Claim, Findings, Quote
from concertino.worker.evidence import EvidenceLog


@pytest.fixture
async def bus() -> MemoryBus:
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))
    return bus


def passage(text: str, first: int = 1, source: str = "a.py", **locator: object) -> Passage:
    lines = (first, first + text.count("\n"))
    return Passage(source=source, text=text, locator=Locator(**locator) if locator else Locator(lines=lines))  # type: ignore[arg-type]


@pytest.fixture
def log(bus: MemoryBus) -> EvidenceLog:
    return EvidenceLog(bus, "web")


async def stands(bus: MemoryBus, evidence: Evidence) -> bool:
    blob = await bus.get_blob("web", evidence.digest)
    assert blob is not None
    return blob.decode()[slice(*evidence.span)] == evidence.quote


@pytest.mark.parametrize(
    ("quote", "lines"),
    [
        ("two", (11, 11)),
        ("one\ntwo", (10, 11)),
        ("wo\nthr", (11, 12)),
        ("\n\nthree\n", (12, 12)),
        ("two\r\nthree", (11, 12)),
        ("  five", (14, 14)),
    ],
)
async def test_the_place_is_that_of_the_quote(log: EvidenceLog, bus: MemoryBus, quote: str, lines: tuple[int, int]) -> None:
    log.saw(passage("one\ntwo\nthree\n\n  five", first=10))
    evidence = log.quote("a.py", quote)
    await log.keep()
    assert evidence.locator == Locator(lines=lines)
    assert evidence.source == "a.py"
    assert await stands(bus, evidence)


async def test_leading_spaces_are_part_of_a_quote(log: EvidenceLog) -> None:
    log.saw(passage("    return 1"))
    assert log.quote("a.py", "    return 1").quote == "    return 1"


@pytest.mark.parametrize("quote", ["four", "tow", "one two", "", "\n", "   ", "One"])
async def test_what_does_not_stand_there_is_refused(log: EvidenceLog, quote: str) -> None:
    log.saw(passage("one\ntwo\nthree"))
    with pytest.raises(QuoteNotSeen, match=r"a\.py"):
        log.quote("a.py", quote)


async def test_another_source_is_not_this_one(log: EvidenceLog) -> None:
    log.saw(passage("one", source="b.py"))
    with pytest.raises(QuoteNotSeen):
        log.quote("a.py", "one")


async def test_text_with_carriage_returns_is_quoted_as_it_stands(log: EvidenceLog, bus: MemoryBus) -> None:
    log.saw(passage("one\r\ntwo\r\nthree", first=5))
    for quote in ("two\r\nthree", "two\nthree"):
        evidence = log.quote("a.py", quote)
        assert (evidence.quote, evidence.locator) == ("two\r\nthree", Locator(lines=(6, 7)))
    await log.keep()
    assert await stands(bus, evidence)


async def test_spans_count_characters(log: EvidenceLog, bus: MemoryBus) -> None:
    log.saw(passage("naïve 🎻 – Größe\nüber alles", first=3))
    evidence = log.quote("a.py", "Größe\nüber")
    await log.keep()
    assert evidence.span == (10, 20)
    assert evidence.locator == Locator(lines=(3, 4))
    assert await stands(bus, evidence)


async def test_the_same_text_twice_is_found_at_its_first_place(log: EvidenceLog) -> None:
    log.saw(passage("x = 1\ny = 2\nx = 1", first=7))
    log.saw(passage("x = 1", first=90))
    assert log.quote("a.py", "x = 1").locator == Locator(lines=(7, 7))


async def test_places_without_lines_stay_as_they_are(log: EvidenceLog) -> None:
    log.saw(passage("one\ntwo", source="a.pdf", page=4))
    assert log.quote("a.pdf", "two").locator == Locator(page=4)


async def test_only_what_was_quoted_is_kept(log: EvidenceLog, bus: MemoryBus) -> None:
    log.saw(passage("one"))
    log.saw(passage("two", first=2))
    evidence = log.quote("a.py", "two")
    await log.keep()
    assert [m.subject for m in await bus.read("CTN_BLOBS", "ctn.blob.>")] == [f"ctn.blob.web.{evidence.digest}"]


async def test_grounding_drops_quotes_that_were_not_seen_and_says_so(log: EvidenceLog) -> None:
    log.saw(passage("one\ntwo"))
    findings, dropped = log.ground(
        Findings(
            claims=(
                Claim("seen", (Quote("a.py", "one"),), quality=0.9, confidence=0.8),
                Claim("half seen", (Quote("a.py", "two"), Quote("a.py", "three"))),
                Claim("invented", (Quote("a.py", "four"),)),
                Claim("asserted"),
            )
        )
    )
    assert [f.claim for f in findings] == ["seen", "half seen", "asserted"]
    assert [len(f.evidence) for f in findings] == [1, 1, 0]
    assert (findings[0].quality, findings[0].confidence) == (0.9, 0.8)
    assert [d.rpartition(": ")[2] for d in dropped] == ["half seen", "invented"]


def test_the_root_says_which_of_several_sources_is_quoted(log: EvidenceLog) -> None:
    for root in ("/one", "/two"):
        log.saw(Passage(source="a.py", text="x = 1", locator=Locator(lines=(1, 1)), root=root))
    assert log.quote("a.py", "x = 1", "/two").root == "/two"
    assert log.quote("a.py", "x = 1").root == "/one"
    found, _ = log.ground(Findings(claims=(Claim("It is.", (Quote("a.py", "x = 1", "/two"),), topic="style", advice="Go."),)))
    assert [(f.topic, f.advice, f.evidence[0].root) for f in found] == [("style", "Go.", "/two")]
    with pytest.raises(QuoteNotSeen):
        log.quote("a.py", "x = 1", "/three")


def test_a_quote_that_stands_in_several_sources_has_to_say_in_which(log: EvidenceLog) -> None:
    for root in ("/one", "/two"):
        log.saw(Passage(source="LICENSE", text="As is.", locator=Locator(lines=(1, 1)), root=root))
        log.saw(Passage(source="LICENSE", text=f"As is. {root}", locator=Locator(lines=(1, 1)), root=root))
    quotes = (Quote("LICENSE", "As is."), Quote("LICENSE", "As is.", "/two"), Quote("LICENSE", "As is. /one"))
    [ambiguous] = log.problems(Findings((Claim("It is.", quotes),)))
    assert ambiguous == '"As is." stands in "LICENSE" of several sources: say which is meant, by its root: "/one", "/two"'
    [unseen] = log.problems(Findings((Claim("It is.", (Quote("LICENSE", "As is. /one", "/two"),)),)))
    assert 'nothing that was read of "LICENSE" in "/two" contains' in unseen
    [long] = log.problems(Findings((Claim("It is.", (Quote("a\n" * 900, "b\n" * 900, "c\n" * 900),)),)))
    assert len(long) < 700
    assert "\n" not in long


async def test_what_was_only_asked_about_is_not_kept(log: EvidenceLog, bus: MemoryBus) -> None:
    log.saw(passage("one"))
    assert log.problems(Findings((Claim("It is.", (Quote("a.py", "one"),)),))) == []
    await log.keep()
    assert await bus.get_blob("web", log.quote("a.py", "one").digest) is None
