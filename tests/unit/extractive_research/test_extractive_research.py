"""Research over a small code base and its documentation, through the real index and the real toolbox."""

import asyncio
from collections.abc import Callable, Iterator
from textwrap import dedent

import pytest

from concertino.code.passages import passages
from concertino.contracts.errors import Refused
from concertino.contracts.messages import Input, Result, Subtask, Work
from concertino.model.extractive.confidence import SILENT_BELOW
from concertino.model.extractive.research import research
from concertino.model.port import Claim, Findings, Research
from concertino.retrieval.index import Index
from concertino.retrieval.search import SearchResult
from concertino.retrieval.tree import File
from concertino.worker.tools import Toolbox

FILES = {
    "client/backoff.py": '''
        """Backing off."""

        import random

        BASE = 0.5


        class Backoff:
            """Grows the pause with every attempt, up to a ceiling."""

            def __init__(self, ceiling: float = 30.0) -> None:
                self.ceiling = ceiling

            def next_delay(self, attempt: int) -> float:
                """Seconds to sleep before the given attempt.

                The delay doubles each time, and half of it is random, so that clients
                that failed together do not come back together.
                """
                delay = min(self.ceiling, BASE * 2**attempt)
                return delay / 2 + random.uniform(0, delay / 2)
    ''',
    "client/pool.py": '''
        """Connections that are kept open and used again."""

        from client.backoff import Backoff
        from client.errors import PoolFull


        class ConnectionPool:
            """Keeps idle connections for reuse."""

            def __init__(self, max_connections: int = 10) -> None:
                self.max_connections = max_connections
                self.idle = []
                self.busy = set()
                self.backoff = Backoff()

            def acquire(self):
                """Take an idle connection, or open one; at the limit raise an error at once."""
                if self.idle:
                    return self.idle.pop()
                if len(self.busy) >= self.max_connections:
                    raise PoolFull(self.max_connections)
                return self.open()

            def release(self, connection) -> None:
                """Put a healthy connection back, and close a broken one."""
                self.busy.discard(connection)
                if connection.is_broken():
                    connection.close()
                else:
                    self.idle.append(connection)
    ''',
    "client/errors.py": '''
        """What can go wrong."""


        class ClientError(Exception):
            """The root of all errors."""


        class PoolFull(ClientError):
            """Every connection is in use."""


        class CertificateError(ClientError):
            """The server could not prove who it is."""
    ''',
    "client/tls.py": '''
        """Encryption of connections."""

        import ssl

        from client.errors import CertificateError


        def verify_fingerprint(certificate: bytes, expected: str) -> None:
            """Compare the digest of the certificate with the one that was pinned; raise where they differ."""
            if digest(certificate) != expected:
                raise CertificateError(expected)
    ''',
    "client/cookies.py": '''
        """A jar of cookies."""


        class Jar:
            """Remembers what servers set, by domain."""

            def set_cookie(self, name: str, value: str, domain: str) -> None:
                self.values[domain, name] = value
    ''',
    "tests/test_backoff.py": '''
        from client.backoff import Backoff


        def test_delay_between_attempts_is_random_and_grows():
            """The pause between attempts grows, attempt by attempt, and the delay is random."""
            delays = [Backoff().next_delay(attempt) for attempt in range(5)]
            assert sorted(delays) == delays
    ''',
    "CHANGES.md": """
        # Changes

        ## 1.1

        The pause between attempts now is random: delay, attempt, pause, attempt.
    """,
    "README.md": """
        # Client

        A client for talking to servers.

        ## Proxies

        Set `proxy_url` to send all traffic through another machine. This also
        works for encrypted traffic. Nothing else has to be changed.
    """,
}


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    index = Index(None, version="1")
    files = [File(path, len(text), 1) for path, text in FILES.items()]
    index.refresh(files, lambda file: passages(file.path, dedent(FILES[file.path]).strip() + "\n"))
    yield index
    index.close()


@pytest.fixture
def ask(index: Index) -> Callable[..., Findings]:
    def ask(question: str, max_calls: int | None = None, after: str = "") -> Findings:
        async def search(query: str, limit: int) -> SearchResult:
            """Full-text search."""
            return index.search(query, limit)

        tools = Toolbox(max_calls=max_calls)
        tools.add(search)
        brief = Subtask(id="s1", kind="code", objective=question)
        earlier = Input(subtask=Subtask(id="s0", kind="code", objective=after or "x"), result=Result())
        inputs = (earlier,) if after else ()
        work = Work(task="t", id="result.s1", attempt=1, request=question, brief=brief, inputs=inputs, deadline=1e12)
        return asyncio.run(research(Research(work=work, tools=tools)))

    return ask


def sources(found: Findings) -> list[str]:
    """Distinct files, best first."""
    return list(dict.fromkeys(claim.quotes[0].source for claim in found.claims))


@pytest.mark.parametrize(
    ("question", "source", "quoted"),
    [
        ("how long is the delay before the next attempt?", "client/backoff.py", "def next_delay"),
        ("what happens when the limit of connections is exceeded?", "client/pool.py", "raise PoolFull"),
        (
            "how is the certificate of the server checked against a known fingerprint?",
            "client/tls.py",
            "def verify_fingerprint",
        ),
        ("how do I send traffic through another machine?", "README.md", "Set `proxy_url`"),
        ("where are cookies remembered per domain?", "client/cookies.py", "by domain"),
        ("what does verify_fingerprint do?", "client/tls.py", "def verify_fingerprint"),
    ],
)
def test_quotes_what_answers(ask: Callable[..., Findings], question: str, source: str, quoted: str) -> None:
    found = ask(question)
    assert sources(found)[0] == source
    assert quoted in found.claims[0].quotes[0].text
    assert found.gaps == ()


def test_every_quote_is_literal_and_short(ask: Callable[..., Findings]) -> None:
    for question in ("how long is the pause between attempts?", "how are connections reused?", "what errors are raised?"):
        for claim in ask(question).claims:
            (quote,) = claim.quotes
            assert quote.text in dedent(FILES[quote.source])
            assert 1 <= len(quote.text.strip().splitlines()) <= 20


def test_tests_and_changelogs_come_after_what_they_are_about(ask: Callable[..., Findings]) -> None:
    assert sources(ask("how is the delay between attempts made random?"))[0] == "client/backoff.py"


def test_claims_say_what_the_quote_shows(ask: Callable[..., Findings]) -> None:
    assert ask("how long is the delay before the next attempt?").claims[0].claim == (
        "`client/backoff.py` defines `Backoff.next_delay`: Seconds to sleep before the given attempt."
    )
    assert ask("how do I send traffic through another machine?").claims[0].claim == (
        "`README.md` says under “Client > Proxies”: Set proxy_url to send all traffic through another machine."
    )


def test_confidence_falls_and_tells_good_from_poor(ask: Callable[..., Findings]) -> None:
    def best(question: str) -> float:
        return max((claim.confidence for claim in ask(question).claims), default=0.0)

    claims: tuple[Claim, ...] = ask("how long is the delay before the next attempt?").claims
    assert [c.confidence for c in claims] == sorted((c.confidence for c in claims), reverse=True)
    assert best("how is the fingerprint of the certificate verified?") > best("which servers does it talk to all day?")


@pytest.mark.parametrize(
    "question",
    [
        "how are payments refunded?",
        "which Kubernetes resources does it create?",
        "how does the neural network learn from pictures?",
        "where is the MongoDB connection configured?",
    ],
)
def test_is_silent_where_nothing_answers(ask: Callable[..., Findings], question: str) -> None:
    found = ask(question)
    assert found.claims == ()
    assert len(found.gaps) == 1
    assert question in found.gaps[0]


def test_a_gap_names_the_words_that_the_sources_never_use(ask: Callable[..., Findings]) -> None:
    (gap,) = ask("where is the MongoDB connection configured?").gaps
    assert "“MongoDB”" in gap.partition("never mention")[2]
    assert "connection" not in gap.partition("never mention")[2]


def test_a_question_about_two_things_gets_both(ask: Callable[..., Findings]) -> None:
    found = ask("how long is the pause between attempts, and how is the fingerprint of a certificate compared?")
    assert set(sources(found)[:2]) == {"client/backoff.py", "client/tls.py"}


def test_the_part_without_an_answer_is_a_gap(ask: Callable[..., Findings]) -> None:
    found = ask("how long is the pause between attempts, and how are Kubernetes pods restarted?")
    assert sources(found)[0] == "client/backoff.py"
    assert len(found.gaps) == 1
    assert "Kubernetes pods" in found.gaps[0]


def test_an_earlier_brief_says_what_a_later_one_refers_to(ask: Callable[..., Findings]) -> None:
    later = "what is its limit, the maximum?"
    assert sources(ask(later, after="how are idle connections of the pool reused?"))[0] == "client/pool.py"
    assert sources(ask(later, after="how long is the delay of the backoff, with its ceiling?"))[0] == "client/backoff.py"


@pytest.mark.parametrize("max_calls", [1, 2, 3])
def test_makes_do_with_few_calls(ask: Callable[..., Findings], max_calls: int) -> None:
    assert sources(ask("how long is the delay before the next attempt?", max_calls))[0] == "client/backoff.py"


def test_no_calls_at_all_is_refused_not_silence(ask: Callable[..., Findings]) -> None:
    with pytest.raises(Refused):
        ask("how long does it wait?", 0)


@pytest.mark.parametrize("question", ["?", "…", "what is it?"])
def test_a_question_without_content_finds_nothing(ask: Callable[..., Findings], question: str) -> None:
    found = ask(question)
    assert found.claims == ()
    assert found.gaps


def test_the_threshold_is_a_probability() -> None:
    assert 0 < SILENT_BELOW < 1
