from concertino.contracts.messages import Locator, Passage
from concertino.retrieval.about import about
from concertino.retrieval.chunk import passages


def code(text: str) -> list[Passage]:
    return [Passage(source="a.py", text=text, locator=Locator(lines=(1, 9)), title="Lock.acquire", language="python")]


def test_a_module_is_about_what_its_docstring_says() -> None:
    said = about(code('#!/usr/bin/env python\n"""One lock for many processes."""\nimport os\n'))
    assert said.opening == "One lock for many processes."
    assert said.outline == "Lock.acquire"


def test_a_licence_at_the_head_of_a_file_says_nothing_of_it() -> None:
    assert about(code("# Copyright 2020 Somebody\n# All rights reserved\nimport os\n")).opening == ""


def test_a_page_is_about_its_title_and_first_words() -> None:
    said = about(passages("a.rst", "Retries\n=======\n\n.. module:: x\n\nTrying again.\n\nLimits\n------\n\nAt most three.\n"))
    assert "Trying again." in said.opening
    assert "module" not in said.opening
    assert "Limits" in said.outline


def test_an_empty_file_is_about_nothing() -> None:
    assert about([]).opening == ""
