"""Requests as people write them, and the questions in them."""

from __future__ import annotations

import pytest

from concertino.model.extractive.aspects import LONGEST, Aspect, aspects

ONE = [
    "How does the retry policy work?",
    "How does the retry policy work and where is it configured?",
    "How does retry work, and how does it stop?",
    "What is the difference between a lane and a queue?",
    "Compare the memory bus and the JetStream bus.",
    "Compare:\n- the memory bus\n- the JetStream bus",
    "Where are timeouts and retries configured?",
    "Which functions read and write the cache?",
    "Explain the plan, the work and the synthesis.",
    "Why does it hang?",
    "What does max_retries default to and is it documented?",
    "What happens when the server restarts and a task is running?",
    "When the server restarts, does the client reconnect?",
    "How do I add a worker? And how do I test it?",
    "Is there a limit on message size, and if so what is it and where is it enforced?",
    "Who calls Runtime.drain? What does it wait for?",
    "Where is the deadline enforced e.g. in the worker or the coordinator? Which one wins?",
    "Which version of Python is needed (3.11 or 3.12)? Which OS?",
    "What are the pros and cons of NATS vs. Kafka here and which would you use?",
    "What is `and then what` in the parser?",
    "how does the worker keep its lease\nwhile a handler runs for a long time",
    "We run this on Kubernetes. How does a rolling update affect running tasks? What happens to their leases?",
    "Given this code:\n```python\ndef f():\n    return 1\n# Then what? And how does it end?\n```\nwhy does f return 1?",
    "Traceback:\n```\nValueError: bad id. Use 1 to 64\n```\nWhere does this error come from? How can I avoid it?",
    "Wie funktioniert die Wiederholung und wo wird sie konfiguriert?",
    "¿Cómo funciona el reintento? ¿Dónde se configura?",
    "Comment fonctionne la reprise ? Où est-elle configurée ?",
    "リトライはどのように動作しますか？",
    "list all subcommands",
    "licence",
    "Is there a race in the cache, how does it come about, and what would the smallest fix be?",
    "For each contract, list the end date, the notice period, and who has to be told.",
    "Audit these repositories: secrets, dead code. Rank what you find by severity.",
]

SEVERAL = [
    (
        "How does login work? Where are the sessions stored? Which cookie settings matter?",
        ["How does login work?", "Where are the sessions stored?", "Which cookie settings matter?"],
    ),
    (
        "1. How are tasks stored?\n2. Who writes the outcome?\n3. What happens on cancel?",
        ["How are tasks stored?", "Who writes the outcome?", "What happens on cancel?"],
    ),
    ("- how are tasks stored\n- who writes the outcome", ["how are tasks stored", "who writes the outcome"]),
    ("how are tasks stored\nwho writes the outcome", ["how are tasks stored", "who writes the outcome"]),
    (
        "I need to understand two things:\n- how tasks are stored\n- who writes the outcome",
        ["how tasks are stored", "who writes the outcome"],
    ),
    ("Tell me about:\n* the retry policy\n* leases", ["Tell me about: the retry policy", "Tell me about: leases"]),
    (
        "We run three replicas. How are tasks shared out? What happens when one replica dies?",
        [
            "How are tasks shared out? (We run three replicas.)",
            "What happens when one replica dies? (We run three replicas.)",
        ],
    ),
    (
        "Does the client reconnect after a restart, and what happens to messages that were in flight?",
        ["Does the client reconnect after a restart", "what happens to messages that were in flight?"],
    ),
    (
        "Please tell me how the docs worker reads PDFs, how the code worker finds definitions, and how results are merged.",
        ["tell me how the docs worker reads PDFs", "how the code worker finds definitions", "how results are merged."],
    ),
    (
        "How does the docs worker read PDFs; how does the code worker find definitions?",
        ["How does the docs worker read PDFs", "how does the code worker find definitions?"],
    ),
    ("What does the `and` operator do and how is `or` parsed?", ["What does the `and` operator do", "how is `or` parsed?"]),
    (
        "How does login work? Where are sessions stored? How long do they live?",
        ["How does login work?", "Where are sessions stored? How long do they live?"],
    ),
    (
        "How do retries differ vs. Kafka consumers with offsets kept on brokers? Where are streams declared?",
        ["How do retries differ vs. Kafka consumers with offsets kept on brokers?", "Where are streams declared?"],
    ),
    (
        "Wo werden die Sitzungen denn gespeichert? Wie lange leben die Anmeldungen der Benutzer?",
        ["Wo werden die Sitzungen denn gespeichert?", "Wie lange leben die Anmeldungen der Benutzer?"],
    ),
    (
        "```\nKeyError: 'a'\n```\nWhere does this error come from? Which function should check the key?",
        [
            "Where does this error come from? (``` KeyError: 'a' ```)",
            "Which function should check the key? (``` KeyError: 'a' ```)",
        ],
    ),
]

ORDERED = [
    (
        "Find where leases are renewed, then explain what happens when renewal fails.",
        ["Find where leases are renewed", "explain what happens when renewal fails."],
    ),
    (
        "First find the retry policy. Then list who calls it.",
        ["find the retry policy.", "list who calls it. (find the retry policy.)"],
    ),
    (
        "How do I add a worker and then deploy it to production?",
        ["How do I add a worker", "deploy it to production? (How do I add a worker)"],
    ),
    (
        "Get the list of all retry settings, then for each of them say where it is read.",
        [
            "Get the list of all retry settings",
            "for each of them say where it is read. (Get the list of all retry settings)",
        ],
    ),
    (
        "Work out which law governs the contract, and based on that find how long claims can be brought.",
        ["Work out which law governs the contract", "find how long claims can be brought."],
    ),
    (
        "Look up what the incident report names as its cause; then say which release shipped the change first.",
        ["Look up what the incident report names as its cause", "say which release shipped the change first."],
    ),
]


@pytest.mark.parametrize("request_", ONE)
def test_one(request_: str) -> None:
    assert aspects(request_) == [Aspect(" ".join(request_.split()))]


@pytest.mark.parametrize(("request_", "expected"), SEVERAL)
def test_several(request_: str, expected: list[str]) -> None:
    assert aspects(request_) == [Aspect(text) for text in expected]


@pytest.mark.parametrize(("request_", "expected"), ORDERED)
def test_one_after_the_other(request_: str, expected: list[str]) -> None:
    assert aspects(request_) == [Aspect(expected[0]), Aspect(expected[1], after=True)]


def test_a_very_long_request_keeps_its_ends() -> None:
    [aspect] = aspects("Why does this happen?\n```\n" + "log line\n" * 20_000 + "```\nIt began today.")
    assert len(aspect.text) <= LONGEST + 3
    assert aspect.text.startswith("Why does this happen?")
    assert aspect.text.endswith("It began today.")


def test_context_too_long_for_every_question_is_cut() -> None:
    found = aspects("Where does this error come from? Which function checks the key?\n```\n" + "log line\n" * 20_000 + "```")
    assert [a.text.split("?")[0] for a in found] == ["Where does this error come from", "Which function checks the key"]
    assert all(len(a.text) <= LONGEST + 3 for a in found)


@pytest.mark.parametrize("piece", ["and ", "? ", "a? ", "```\n", "`", "- a\n", "e.g. ", "and how ", ", what "])
def test_anything_yields_something_soon(piece: str) -> None:
    found = aspects("x" + piece * (100_000 // len(piece)))
    assert found
    assert all(a.text for a in found)
