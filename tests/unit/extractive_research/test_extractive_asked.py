import pytest

from concertino.model.extractive.asked import asked_for


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("how is the retry loop tested?", {"test"}),
        ("since when may it be called twice?", {"release"}),
        ("may I sell it under another licence?", {"legal"}),
        ("who maintains it?", {"project"}),
        ("how are migrations of the database undone?", set()),
        ("what is used to store the latest result?", set()),
        ("how is a contested lock taken?", set()),
    ],
)
def test_kinds_that_are_asked_for(question: str, kinds: set[str]) -> None:
    assert asked_for(question) == kinds
