"""Lists in a question: which are facets of it, and which are not."""

from __future__ import annotations

import pytest

from concertino.model.extractive.facets import facets


def texts(request: str) -> list[str]:
    return [facet.text for facet in facets(request)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            "Compare Kafka and NATS as a work queue.",
            ["Compare Kafka as a work queue.", "Compare NATS as a work queue."],
        ),
        (
            "Compare the pricing of Auth0, Okta and Keycloak.",
            ["Compare the pricing of Auth0.", "Compare the pricing of Okta.", "Compare the pricing of Keycloak."],
        ),
        (
            "PostgreSQL or SQLite: which is better?",
            ["PostgreSQL: which is better?", "SQLite: which is better?"],
        ),
        (
            "Which rules apply in the EU, the United States, Japan, and Brazil?",
            [f"Which rules apply in {where}?" for where in ("the EU", "the United States", "Japan", "Brazil")],
        ),
        (
            "Give an overview of the market: vendors, pricing, performance claims and adoption.",
            [f"Give an overview of the market: {point}" for point in ("vendors", "pricing", "performance claims", "adoption")],
        ),
        (
            "Describe the system: what each service does, where state is kept, how it fails and recovers.",
            [
                f"Describe the system: {point}"
                for point in ("what each service does", "where state is kept", "how it fails and recovers")
            ],
        ),
    ],
)
def test_facets(request_: str, expected: list[str]) -> None:
    assert texts(request_) == expected


@pytest.mark.parametrize(
    "request_",
    [
        "Compare how the two libraries retry.",
        "When did Marie Curie win her Nobel Prizes, and with whom?",
        "In which films did Lang, Murnau and Pabst work together?",  # three names, and nothing is compared
        "How is login done: by a session or by a token?",
        "See https://example.org/a,b: what, is, this",
        "The run is still busy when the next one is due: where is the new one turned away, and where is that reported?",
        "Audit these: dependencies, tests, secrets. Rank what you find.",
        "Explain: " + ", ".join(f"point {i}" for i in range(11)),
        "Explain the following in detail: "
        + ", ".join("a long story of many words that goes on and on and on and on and on" for _ in range(3)),
        "",
    ],
)
def test_no_facets(request_: str) -> None:
    assert texts(request_) == []


@pytest.mark.parametrize("piece", ["A, ", "A and ", "a: ", "the A ", "A B ", ", and ", "A, the B and ", "x: A, "])
def test_anything_is_read_soon(piece: str) -> None:
    facets("Compare " + piece * (100_000 // len(piece)))
