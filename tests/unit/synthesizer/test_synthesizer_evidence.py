"""What may be cited: literal quotes of what is kept, each thing once, best first."""

from __future__ import annotations

import hashlib
import time

import pytest
from msgspec import structs

from concertino.contracts.messages import Evidence, Failure, Finding, Input, Locator, Result, ResultStatus, Subtask
from concertino.synthesizer.evidence import assertions, exhibits, gaps, missing, notes, stands, text_of

TEXT = "one\ntwo – zwei\nthree"


def evidence(quote: str, text: str = TEXT, source: str = "a.py", first: int = 1) -> Evidence:
    start = text.index(quote)
    line = first + text.count("\n", 0, start)
    return Evidence(
        digest=hashlib.sha256(text.encode()).hexdigest(),
        span=(start, start + len(quote)),
        source=source,
        locator=Locator(lines=(line, line + quote.count("\n"))),
        quote=quote,
    )


def finding(*found: Evidence, claim: str = "a claim", quality: float = 0.5, confidence: float = 0.5) -> Finding:
    return Finding(claim=claim, evidence=found, quality=quality, confidence=confidence)


def input_(id_: str, *findings: Finding, objective: str = "why?", **result: object) -> Input:
    made = Result(findings=findings, **result)  # type: ignore[arg-type]
    return Input(subtask=Subtask(id=id_, kind="code", objective=objective), result=made)


def kept(*texts: str) -> dict[str, str | None]:
    return {hashlib.sha256(t.encode()).hexdigest(): t for t in texts}


def test_a_blob_is_what_its_digest_says_or_nothing() -> None:
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert text_of(digest, TEXT.encode()) == TEXT
    assert text_of(digest, None) is None
    assert text_of(digest, TEXT.encode() + b" ") is None
    assert text_of(hashlib.sha256(b"\xff").hexdigest(), b"\xff") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"quote": "twO – zwei"},  # one character
        {"quote": "two - zwei"},
        {"span": (5, 15)},
        {"span": (-16, -6)},  # the same characters, counted from the end
        {"span": (4, 4), "quote": ""},
        {"span": (3, 4), "quote": "\n"},
        {"span": (0, 10**9)},
        {"digest": "0" * 64},
    ],
)
def test_what_does_not_stand_is_not_cited_and_counted(changes: dict[str, object]) -> None:
    good, bad = evidence("one"), structs.replace(evidence("two – zwei"), **changes)
    assert not stands(bad, kept(TEXT).get(bad.digest))
    found, failed = exhibits([input_("s1", finding(good), finding(bad))], kept(TEXT))
    assert [e.evidence for e in found] == [good]
    assert failed == 1


def test_missing_blobs_count_as_failed() -> None:
    assert exhibits([input_("s1", finding(evidence("one")))], {evidence("one").digest: None}) == ([], 1)


def test_best_first_by_confidence_and_quality_then_by_plan() -> None:
    texts = [f"text {i}" for i in range(5)]
    weights = [(0.5, 0.2), (0.9, 0.2), (0.5, 0.9), (0.2, 1.0), (0.5, 0.2)]
    inputs = [
        input_(f"s{i}", finding(evidence(t, t, source=f"{i}.py"), claim=t, confidence=c, quality=q))
        for i, (t, (c, q)) in enumerate(zip(texts, weights, strict=True))
    ]
    found, _ = exhibits(inputs, kept(*texts))
    assert [e.claim for e in found] == ["text 1", "text 2", "text 0", "text 4", "text 3"]
    assert [e.id for e in found] == ["1", "2", "3", "4", "5"]


def test_the_same_quote_of_two_workers_stands_once_by_the_surer_one() -> None:
    inputs = [
        input_("s1", finding(evidence("three"), claim="unsure", confidence=0.2)),
        input_("s2", finding(evidence("three"), claim="sure", confidence=0.9)),
    ]
    found, failed = exhibits(inputs, kept(TEXT))
    assert [(e.claim, e.subtask) for e in found] == [("sure", "s2")]
    assert failed == 0


def test_the_same_words_in_two_files_stand_once() -> None:
    other = "Zero\n  ONE\n"
    inputs = [input_("s1", finding(evidence("one"), confidence=0.9), finding(evidence("  ONE", other, source="b.py")))]
    found, _ = exhibits(inputs, kept(TEXT, other))
    assert [e.evidence.source for e in found] == ["a.py"]


def test_overlapping_lines_of_one_file_stand_once_though_read_as_different_passages() -> None:
    longer = "zero\none\ntwo – zwei\nthree"
    inputs = [
        input_(
            "s1", finding(evidence("two – zwei\nthree", first=2), confidence=0.9), finding(evidence("one\ntwo – zwei", longer))
        )
    ]
    found, _ = exhibits(inputs, kept(TEXT, longer))
    assert len(found) == 1


def test_equal_paths_of_two_sources_are_not_one_file() -> None:
    other = "eins\nzwei\ndrei"
    inputs = [input_("s1", finding(evidence("one"))), input_("s2", finding(evidence("eins", other)))]
    found, _ = exhibits(inputs, kept(TEXT, other))
    assert [e.evidence.quote for e in found] == ["one", "eins"]


def test_different_lines_of_one_file_stand_each() -> None:
    found, _ = exhibits([input_("s1", finding(evidence("one")), finding(evidence("three")))], kept(TEXT))
    assert [e.evidence.quote for e in found] == ["one", "three"]


def test_thousands_of_quotes_do_not_take_long() -> None:
    texts = [f"unique text number {i}" for i in range(5000)]
    inputs = [
        input_(f"s{i}", finding(structs.replace(evidence(t, t), locator=Locator(lines=(i, i))))) for i, t in enumerate(texts, 1)
    ]
    began = time.process_time()
    found, _ = exhibits(inputs, kept(*texts))
    assert len(found) == 5000
    assert time.process_time() - began < 2  # every pair compared takes ten times as long


def test_claims_without_evidence_are_assertions_each_once() -> None:
    inputs = [input_("s1", finding(claim="so"), finding(claim="thus")), input_("s2", finding(claim="so"))]
    assert assertions(inputs) == ("so", "thus")


def test_missing_parts_are_named_with_their_reason() -> None:
    error = Failure(code="source", message="no such folder")
    inputs = [
        Input(subtask=Subtask(id="s1", kind="docs", objective="late?"), result=None),
        input_("s2", objective="broken?", status=ResultStatus.FAILED, error=error),
        input_("s3", objective="half?", status=ResultStatus.PARTIAL, error=error),
        input_("s4", objective="odd?", status=ResultStatus.FAILED),
        input_("s5", objective="fine?"),
    ]
    assert missing(inputs) == (
        "“late?” (docs): no result came in time",
        "“broken?” (code) failed: no such folder",
        "“half?” (code) is incomplete: no such folder",
        "“odd?” (code) failed: no reason was given",
    )


def test_gaps_of_rules_that_a_sibling_closed_are_none_and_notes_are_told_once() -> None:
    rules = {"model": "extractive"}
    inputs = [
        input_("s1", finding(evidence("one")), objective="why?", gaps=("nothing on the half of why",), **rules),
        input_("s2", objective="why?", gaps=("nothing on why",), notes=("broken.pdf was not read",), **rules),
        input_("s3", objective="when?", gaps=("nothing on when", "nothing on when"), **rules),
    ]
    assert gaps(inputs, {"s1"}) == ("nothing on the half of why", "nothing on when")
    assert gaps(inputs, {"s1", "s2"}) == ("nothing on when",)
    assert notes([*inputs, *inputs]) == ("broken.pdf was not read",)


def test_what_a_model_looked_for_in_vain_is_weighed_whatever_else_was_found() -> None:
    inputs = [
        input_("s1", finding(evidence("one")), gaps=("the TLS port",), model="claude-sonnet-5"),
        input_("s2", gaps=("the host",), model="claude-sonnet-5"),
    ]
    assert gaps(inputs, {"s1"}) == ("the TLS port", "the host")


def test_one_line_may_be_wrong_in_two_ways_and_in_two_sources() -> None:
    here, there = (structs.replace(evidence("one"), root=root) for root in ("/a", "/b"))
    wrong = [
        structs.replace(finding(quote, claim=claim), severity="low", topic="style", advice="Change it.")
        for claim, quote in (("is short", here), ("is plain", here), ("is short", there), ("is short", here))
    ]
    found, _ = exhibits([input_("s1", *wrong)], kept(TEXT))
    assert [(e.claim, e.evidence.root) for e in found] == [("is short", "/a"), ("is plain", "/a"), ("is short", "/b")]
    assert {(e.severity, e.topic, e.advice) for e in found} == {("low", "style", "Change it.")}


def test_two_sources_that_say_the_same_are_two_and_claims_on_one_quote_stand_together() -> None:
    here, there = (structs.replace(evidence("one"), root=root) for root in ("/a", "/b"))
    inputs = [
        input_("s1", finding(here, claim="It is one."), finding(there, claim="It is one.")),
        input_("s2", finding(here, claim="It is none."), finding(here, claim="It is one."), finding(here, claim="It is none.")),
    ]
    found, _ = exhibits(inputs, kept(TEXT))
    assert [(e.evidence.root, e.claim, e.also) for e in found] == [
        ("/a", "It is one.", ("It is none.",)),
        ("/b", "It is one.", ()),
    ]


def test_a_quote_comes_with_what_stands_around_it() -> None:
    text = "x" * 500 + "one" + "y" * 500
    found, _ = exhibits([input_("s1", finding(evidence("one", text)))], kept(text))
    assert found[0].around == ("x" * 200, "y" * 200)
