"""Asking and writing, through the real SDK: what is sent, what comes of it, and every fault in its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec import Struct

from concertino.contracts.errors import DeadlineExceeded, ModelRefused, ModelRejected, ModelUnavailable, Unusable
from concertino.model.anthropic.calls import Calls
from concertino.model.anthropic.session import Piece, Session
from concertino.runtime.config import Config, ModelChoice
from concertino.testing import Break, Cited, CutOff, Fault, Hang, MessagesApi, Pause, Refuse, Say
from kit.claude import Claude

Make = Callable[..., Claude]


class Port(Struct, frozen=True):
    """A port."""

    number: int
    why: str = ""


SAYS = Say(json={"number": 8080, "why": "it says so"})
ASKED = [{"type": "text", "text": "Which port?"}]
FLAKY = Config(models={"docs": ModelChoice(fallback="")})


def session(claude: Claude, effort: str | None = None, seconds: float = 600.0) -> Session:
    model = claude.model
    model._adapter = model._load()
    calls = Calls(model._adapter._client, model._choice, model._prices, claude.hooks, model._world)
    return Session(calls, model._choice, effort, claude.now + seconds)


async def test_asks_for_the_form_and_reads_it(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", SAYS)
    one = claude()
    assert await session(one, "low").ask("You know ports.", ASKED, Port) == Port(8080, "it says so")
    asked = api.asked[0]
    assert (asked.model, asked.system, asked.effort, asked.streams) == ("claude-sonnet-5-5", "You know ports.", "low", True)
    assert asked.form == {
        "type": "object",
        "title": "Port",
        "description": "A port.",
        "properties": {"number": {"type": "integer"}, "why": {"type": "string"}},
        "required": ["number", "why"],
        "additionalProperties": False,
    }
    assert asked.body["cache_control"] == {"type": "ephemeral"}
    assert asked.body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert not api.unexpected


async def test_effort_is_left_to_the_model_where_nobody_says(api: MessagesApi, claude: Make) -> None:
    api.on("", SAYS)
    await session(claude()).ask("", ASKED, Port)
    assert api.asked[0].effort is None
    assert "system" not in api.asked[0].body


async def test_models_that_take_no_effort_level_are_sent_none(api: MessagesApi, claude: Make) -> None:
    api.on("", every=SAYS)
    old = Config(models={"docs": ModelChoice(model="claude-haiku-4-5", effort="high")})
    await session(claude("docs", old), "high").ask("", ASKED, Port)
    assert api.asked[0].effort is None


async def test_what_it_objects_to_is_sent_back_once(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", Say(json={"number": 1, "why": ""}), SAYS)
    one = claude()

    def check(port: Port) -> list[str]:
        return [f"{port.number} is reserved"] if port.number < 1024 else []

    assert (await session(one).ask("", ASKED, Port, check)).number == 8080
    assert api.asked[1].says("1 is reserved")
    assert api.asked[1].turns == 1
    assert one.ended == ["end_turn", "end_turn"]


async def test_what_is_wrong_twice_is_unusable_and_says_why(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", Say("eighty"), Say(json={"number": "eighty", "why": ""}))
    with pytest.raises(Unusable, match="not in the form"):
        await session(claude()).ask("", ASKED, Port)
    assert api.asked[1].says("not in the form")


async def test_an_answer_that_was_cut_off_is_asked_for_again_with_twice_the_room(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", CutOff('{"number": 80'), SAYS)
    assert (await session(claude()).ask("", ASKED, Port)).number == 8080
    assert [asked.body["max_tokens"] for asked in api.asked] == [32_000, 64_000]


async def test_an_answer_that_is_cut_off_twice_is_unusable(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", every=CutOff('{"number": 80'))
    with pytest.raises(Unusable, match="64000 tokens"):
        await session(claude()).ask("", ASKED, Port)
    assert len(api.asked) == 2


async def test_an_answer_that_is_handed_back_unfinished_is_sent_on(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", Pause([{"type": "text", "text": "Let me see."}]), SAYS)
    assert (await session(claude()).ask("", ASKED, Port)).number == 8080
    assert api.asked[1].body["messages"][-1]["role"] == "assistant"
    assert not api.rejected


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429),
        Fault(529),
        Fault(500),
        Fault(503),
        Fault(529, midstream=True),
        Fault(500, "api_error", midstream=True),
        Break(0),
        Break(1),
        Break(4),
    ],
)
async def test_a_fault_that_passes_is_waited_for(api: MessagesApi, claude: Make, fault: object) -> None:
    api.on("Which port?", fault, fault, SAYS)
    one = claude()
    assert (await session(one).ask("", ASKED, Port)).number == 8080
    assert one.pauses == [1.0, 2.0]
    assert one.ended == ["model_unavailable", "model_unavailable", "end_turn"]
    assert {asked.model for asked in api.asked} == {"claude-sonnet-5-5"}


@pytest.mark.parametrize(("chance", "pauses"), [(0.0, [0.5, 1.0, 2.0, 4.0]), (0.5, [0.75, 1.5, 3.0, 6.0])])
async def test_those_whom_a_fault_meets_together_do_not_come_back_together(
    api: MessagesApi, claude: Make, chance: float, pauses: list[float]
) -> None:
    api.on("Which port?", *[Fault(529)] * 4, SAYS)
    one = claude()
    one.chance = chance
    await session(one).ask("", ASKED, Port)
    assert one.pauses == pauses


async def test_it_waits_as_long_as_the_api_asks(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", Fault(429, headers={"retry-after": "17"}), SAYS)
    one = claude()
    await session(one).ask("", ASKED, Port)
    assert one.pauses == [17.0]


async def test_silence_counts_as_broken_off(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", Hang(), Hang(after=3), every=SAYS)
    one = claude(stall=0.3)
    assert (await session(one).ask("", ASKED, Port)).number == 8080
    assert one.ended[:2] == ["model_unavailable", "model_unavailable"]


async def test_the_fallback_is_asked_when_the_model_stays_away(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: asked.model == "claude-sonnet-5-5", every=Fault(529))
    api.on(lambda asked: asked.model == "claude-sonnet-5", every=SAYS)
    one = claude()
    talk = session(one)
    assert (await talk.ask("", ASKED, Port)).number == 8080
    assert talk.answered == "claude-sonnet-5"
    assert one.pauses == [1.0, 2.0, 4.0, 8.0]
    await talk.ask("", ASKED, Port)
    assert [call.model for call in one.calls] == ["claude-sonnet-5-5"] * 5 + ["claude-sonnet-5"] * 2


async def test_who_is_to_wait_too_long_goes_to_the_fallback_at_once(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: asked.model == "claude-sonnet-5-5", every=Fault(429, headers={"retry-after": "3600"}))
    api.on("", SAYS)
    one = claude()
    await session(one).ask("", ASKED, Port)
    assert one.pauses == []


async def test_the_last_model_is_waited_for_as_long_as_it_asks_if_there_is_time(api: MessagesApi, claude: Make) -> None:
    away = Fault(429, headers={"retry-after": "70"})
    api.on("", away, away, away, SAYS)  # the model itself once, then its fallback
    one = claude()
    assert (await session(one).ask("", ASKED, Port)).number == 8080
    assert one.pauses == [70.0, 70.0]
    assert [call.model for call in one.calls] == ["claude-sonnet-5-5", *["claude-sonnet-5"] * 3]


async def test_who_is_to_wait_beyond_the_time_that_there_is_learns_for_how_long(api: MessagesApi, claude: Make) -> None:
    api.on("", every=Fault(429, headers={"retry-after": "700"}))
    one = claude()
    with pytest.raises(ModelUnavailable, match=r"\(HTTP 429\), and asks to be left alone for 700 s$") as caught:
        await session(one, seconds=600).ask("", ASKED, Port)
    assert caught.value.after == 700
    assert (one.pauses, len(api.asked)) == ([], 2)


@pytest.mark.parametrize("strange", ["nan", "inf", "-inf", "soon", "", f"Fri, 31 Dec {'9' * 20} 23:59:59 GMT"])
async def test_a_wait_that_is_no_number_of_seconds_is_none(api: MessagesApi, claude: Make, strange: str) -> None:
    api.on("", Fault(429, headers={"retry-after": strange}), SAYS)
    one = claude("docs", FLAKY)
    await session(one).ask("", ASKED, Port)
    assert one.pauses == [1.0]


async def test_what_does_not_pass_says_so(api: MessagesApi, claude: Make) -> None:
    api.on("", every=Fault(529))
    with pytest.raises(ModelUnavailable, match=r"claude-sonnet-5 is overloaded \(HTTP 529\), 5 times"):
        await session(claude()).ask("", ASKED, Port)
    assert len(api.asked) == 10


async def test_nobody_waits_beyond_the_time_that_there_is(api: MessagesApi, claude: Make) -> None:
    api.on("", every=Fault(529))
    one = claude("docs", FLAKY)
    with pytest.raises(ModelUnavailable):
        await session(one, seconds=2.5).ask("", ASKED, Port)
    assert one.pauses == [1.0]


async def test_the_time_is_up_while_it_answers(api: MessagesApi, claude: Make) -> None:
    api.on("", Hang())
    one = claude()
    with pytest.raises(DeadlineExceeded):
        await session(one, seconds=0.2).ask("", ASKED, Port)
    assert len(one.calls) == 1


async def test_what_one_model_declines_another_may_answer(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", Refuse("I will"), SAYS)
    one = claude()
    assert (await session(one).ask("", ASKED, Port)).number == 8080
    assert [asked.model for asked in api.asked] == ["claude-sonnet-5-5", "claude-sonnet-5"]
    assert one.ended == ["refusal", "end_turn"]


async def test_what_both_decline_is_refused(api: MessagesApi, claude: Make) -> None:
    api.on("Which port?", every=Refuse(category="cyber"))
    with pytest.raises(ModelRefused, match=r"cyber.*differently"):
        await session(claude()).ask("", ASKED, Port)
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    ("status", "says"),
    [(400, "does not take"), (401, "ANTHROPIC_API_KEY"), (402, "credit"), (413, "larger")],
)
async def test_what_the_api_does_not_take_is_not_asked_again(api: MessagesApi, claude: Make, status: int, says: str) -> None:
    api.on("", Fault(status, message="because of test"))
    with pytest.raises(ModelRejected, match=says) as caught:
        await session(claude()).ask("", ASKED, Port)
    assert len(api.asked) == 1
    assert ("because of test" in str(caught.value)) == (status != 401)


async def test_a_wrong_key_is_never_shown(api: MessagesApi, claude: Make) -> None:
    one = claude(environment={"ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": "sk-secret"})
    with pytest.raises(ModelRejected) as caught:
        await session(one).ask("", ASKED, Port)
    assert "sk-secret" not in str(caught.value)


async def test_a_model_that_is_gone_is_stood_in_for(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: asked.model == "claude-sonnet-5-5", Fault(404, message="model: claude-sonnet-5-5"))
    api.on("", SAYS)
    await session(claude()).ask("", ASKED, Port)
    assert [asked.model for asked in api.asked] == ["claude-sonnet-5-5", "claude-sonnet-5"]


# --------------------------------------------------------------------------------------------------------------- write

RESULTS = [
    {"type": "search_result", "source": f"s{n}", "title": f"S{n}", "content": [{"type": "text", "text": f"quote {n}"}],
     "citations": {"enabled": True}}
    for n in range(2)
]  # fmt: skip


async def test_writes_with_native_citations_as_it_comes(api: MessagesApi, claude: Make) -> None:
    api.on("Write", Say(["The port is ", Cited("8080", (1, 0)), "."]))
    one = claude()
    written = await session(one).write("Write.", RESULTS, one.hooks.on_text)
    assert written.pieces == (Piece("The port is "), Piece("8080", (1, 0)), Piece("."))
    assert written.shortfall is None
    assert "".join(one.text) == "The port is 8080."
    assert api.asked[0].form is None


async def test_a_text_that_broke_off_goes_on_where_it_stopped(api: MessagesApi, claude: Make) -> None:
    begun = Say(["The port of the service is not what you think", Cited("8080", (0,))])
    api.on("Write", Break(6, begun), Say(" told."))
    one = claude()
    written = await session(one).write("Write.", RESULTS, one.hooks.on_text)
    text = "".join(piece.text for piece in written.pieces)
    assert text == "".join(one.text)
    assert text.startswith("The port of the service")
    assert text.endswith(" told.")
    sent = api.asked[1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert text.startswith(sent[1]["content"])


async def test_whoever_heard_a_text_that_is_declined_is_told(api: MessagesApi, claude: Make) -> None:
    api.on("Write", Refuse("Half a sentence that"), Say("A whole one."))
    one = claude()
    written = await session(one).write("Write.", RESULTS, one.hooks.on_text)
    assert written.pieces == (Piece("A whole one."),)
    before, note, after = "".join(one.text).split("\n\n")
    assert (before, after) == ("Half a sentence that", "A whole one.")
    assert "does not count" in note


async def test_nobody_is_told_of_a_refusal_that_said_nothing(api: MessagesApi, claude: Make) -> None:
    api.on("Write", Refuse(), Say("A whole one."))
    one = claude()
    await session(one).write("Write.", RESULTS, one.hooks.on_text)
    assert "".join(one.text) == "A whole one."


async def test_a_text_that_is_too_long_goes_on_once_and_says_that_it_breaks_off(api: MessagesApi, claude: Make) -> None:
    api.on("Write", CutOff("One, "), CutOff("two, "))
    one = claude()
    written = await session(one).write("Write.", RESULTS, one.hooks.on_text)
    assert "".join(one.text) == "One, two, "
    assert written.shortfall is not None
    assert written.shortfall.code == "unusable_answer"


async def test_what_was_written_before_a_fault_that_stays_is_kept(api: MessagesApi, claude: Make) -> None:
    api.on("Write", Break(5, Say("The port is 8080, and there is more.")))
    api.on("Write", every=Fault(529))
    one = claude("docs", FLAKY)
    written = await session(one).write("Write.", RESULTS, one.hooks.on_text)
    assert written.pieces[0].text.startswith("The port is")
    assert written.shortfall is not None
    assert written.shortfall.code == "model_unavailable"
    assert "breaks off" in written.shortfall.message


async def test_where_nothing_was_written_the_fault_is_raised(api: MessagesApi, claude: Make) -> None:
    api.on("Write", every=Fault(529))
    one = claude("docs", FLAKY)
    with pytest.raises(ModelUnavailable):
        await session(one).write("Write.", RESULTS, one.hooks.on_text)


async def test_what_was_written_before_a_refusal_does_not_count(api: MessagesApi, claude: Make) -> None:
    api.on("Write", Refuse("I would rather"), Say("It is 8080."))
    one = claude()
    written = await session(one).write("Write.", RESULTS, one.hooks.on_text)
    assert written.pieces == (Piece("It is 8080."),)


# ------------------------------------------------------------------------------------------------------------- besides


async def test_questions_side_by_side_go_to_the_fallback_together(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: asked.model == "claude-sonnet-5-5", every=Refuse())
    api.on("", every=SAYS)
    one = claude()
    talk = session(one)
    answers = await asyncio.gather(*(talk.ask("", ASKED, Port) for _ in range(3)))
    assert [answer.number for answer in answers] == [8080] * 3
    assert talk.answered == "claude-sonnet-5"


async def test_who_is_interrupted_leaves_nothing_open_and_is_metered(api: MessagesApi, claude: Make) -> None:
    api.on("", Hang(after=3))
    one = claude()
    asking = asyncio.create_task(session(one).ask("", ASKED, Port))
    while not api.asked:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert one.ended == ["cancelled"]


async def test_a_bug_of_ours_is_no_fault_of_the_model(api: MessagesApi, claude: Make) -> None:
    api.on("", every=Say("It is 8080."))
    one = claude()

    async def fails(_: str) -> None:
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        await session(one).write("Write.", RESULTS, fails)
    assert (one.ended, len(api.asked)) == (["bug"], 1)


async def test_what_a_broken_call_took_is_counted_as_far_as_it_came(api: MessagesApi, claude: Make) -> None:
    api.on("", Break(3), SAYS)
    one = claude()
    await session(one).ask("", ASKED, Port)
    broken, whole = (call.usage for call in one.calls)
    assert broken.model_calls == whole.model_calls == 1
    assert broken.cache_write_tokens == whole.cache_read_tokens > 0
    assert broken.cost_usd > 0


async def test_what_is_no_stream_at_all_is_tried_again(api: MessagesApi, claude: Make) -> None:
    one = claude(environment={"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "test"})
    with pytest.raises(ModelUnavailable, match="could not be made"):
        await session(one).ask("", ASKED, Port)
    assert len(one.calls) == 10
    assert sum(call.usage.cost_usd for call in one.calls) == 0
