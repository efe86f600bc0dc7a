"""A worker dies after any turn of a conversation: whoever goes on asks for nothing again, and comes to the same end."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from msgspec import structs

from concertino.bus.memory import MemoryBus
from concertino.contracts.codec import decode
from concertino.contracts.errors import ModelUnavailable, SourceError
from concertino.contracts.messages import Announcement, Ledger, Limits, Locator, Passage, Plan, Usage
from concertino.contracts.subjects import Subjects
from concertino.model.anthropic import research as researching
from concertino.model.observation import Checked, Observation
from concertino.model.port import Answer, Draft, Findings, Hooks, Planning, Prompt, Research
from concertino.runtime.config import Config, ModelChoice
from concertino.testing import (
    Asked,
    Blocks,
    Break,
    Cited,
    CutOff,
    Fault,
    Message,
    MessagesApi,
    Pause,
    Refuse,
    Say,
    Tool,
    UseTools,
    hosted_search,
)
from concertino.worker.evidence import EvidenceLog
from concertino.worker.journal import Journal
from concertino.worker.purse import Purse
from concertino.worker.tools import Toolbox
from kit import script, writing
from kit.claude import Claude, work
from kit.keeping import Died, Keeping, Mortal

Make = Callable[..., Claude]
Attempt = Callable[[Hooks], Awaitable[Any]]
Reply = Callable[[Asked], Any]

PORT = Passage(source="conf/server.ini", text="[server]\nport = 8080\n", locator=Locator(lines=(1, 2)))
RISK = Observation("risk", "It listens everywhere.", "high", 0.9, (PORT,))
CLAIM = script.claim("It listens on port 8080.", ("conf/server.ini", "port = 8080"))
WRONG = script.claim("It listens on port 8081.", ("conf/server.ini", "port = 8081"))
FOUND = script.findings(CLAIM, gaps=["whether TLS is on"])


class Bench:
    """Tools, and every call of them over all attempts."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def job(self, hooks: Hooks, **more: Any) -> Research:
        log = EvidenceLog(MemoryBus(), "web")
        box = Toolbox(max_calls=more.pop("max_calls", None), on_seen=log.saw)
        box.add(self.search, self.read, self.check)
        limits = more.pop("limits", Limits())
        return Research(
            work=work(limits=limits),
            tools=box,
            prompt=Prompt("research", "7", "You research."),
            check=log.problems,
            hooks=hooks,
            **more,
        )

    async def search(self, query: str) -> list[Passage]:
        """Finds passages."""
        self.called.append(f"search {query}")
        return [PORT]

    async def read(self, path: str) -> str:
        """Reads a file."""
        self.called.append(f"read {path}")
        if path == "none":
            raise SourceError("there is no file none")
        return f"the text of {path}" + " and on" * (20_000 if path.startswith("large") else 0)

    async def check(self) -> Checked:
        """Checks everything."""
        self.called.append("check")
        return Checked("risk", (RISK,))


def turns(asked: Asked) -> int:
    """How often the model has spoken."""
    return sum(message["role"] == "assistant" for message in asked.whole["messages"])


def by_turn(*replies: Any) -> Reply:
    """A model that says the next of ``replies`` after each thing that it has said, whoever asks, and however often."""

    def reply(asked: Asked) -> Any:
        chosen = replies[turns(asked)]
        return chosen(asked) if callable(chosen) and not isinstance(chosen, Message.__args__) else chosen  # type: ignore[attr-defined]

    return reply


async def dying_everywhere(
    api: MessagesApi,
    claude: Make,
    attempt: Callable[[Claude, Hooks], Awaitable[Any]],
    anew: Callable[[], None] = lambda: None,
    **options: Any,
) -> int:
    """Have ``attempt`` die after each thing that it keeps: whoever goes on comes to the end that an undisturbed attempt comes
    to, and calls the model only for what was not kept; also where deliveries are counted anew. How many deaths that were."""

    def hooks(one: Claude, journal: Journal) -> Hooks:
        return structs.replace(one.hooks, journal=journal)

    one = claude(**options)
    journal = await Keeping().delivery()
    anew()
    wanted = await attempt(one, hooks(one, journal))
    for lives in range(1, journal.kept + 1):
        keeping = Keeping()
        anew()
        first, second = claude(**options), claude(**options)
        with pytest.raises(BaseException) as died:
            await attempt(first, hooks(first, await keeping.delivery(lives)))
        assert died.group_contains(Died) if isinstance(died.value, BaseExceptionGroup) else died.type is Died
        again = await keeping.delivery(counted_anew=lives % 2 == 0)
        where = f"after {lives} of {journal.kept}"
        assert await attempt(second, hooks(second, again)) == wanted, where
        assert counted(again.unbooked.values()) + used(second) == used(one), where
        assert counted(again.unbooked.values()).model_calls, where
    assert not api.unexpected
    return journal.kept


def used(one: Claude) -> Usage:
    return counted(call.usage for call in one.calls)


def counted(usages: Iterable[Usage]) -> Usage:
    """Without what depends on when it was asked: what stands in the provider's cache."""
    total = sum(usages, Usage())
    return Usage(model_calls=total.model_calls, output_tokens=total.output_tokens, web_searches=total.web_searches)


# ------------------------------------------------------------------------------------------------------------ research


async def test_no_turn_and_no_tool_is_paid_for_twice(api: MessagesApi, claude: Make) -> None:
    bench = Bench()
    api.on(
        "",
        every=by_turn(
            UseTools(Tool("search", query="port"), Tool("read", path="none"), say="Looking.", thinking="Where is it?"),
            UseTools(Tool("search", query="port"), Tool("check"), Tool("nothing")),
            UseTools(Tool("read", path="a.md")),
            script.findings(WRONG),
            FOUND,
        ),
    )

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        answer = await one.model.research(bench.job(hooks))
        assert sorted(bench.called) == ["check", "read a.md", "read none", "search port"]
        assert [claim.claim for claim in answer.value.claims] == ["It listens on port 8080."]
        return answer

    assert await dying_everywhere(api, claude, attempt, bench.called.clear) == 5 + 6


async def test_a_brief_that_allows_few_calls_allows_no_more_to_whoever_goes_on(api: MessagesApi, claude: Make) -> None:
    api.on(
        "",
        every=by_turn(
            UseTools(Tool("search", query="a")), UseTools(Tool("search", query="b"), Tool("search", query="c")), FOUND
        ),
    )

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        return await one.model.research(Bench().job(hooks, max_calls=2))

    assert await dying_everywhere(api, claude, attempt) == 3 + 2


async def test_searches_by_the_provider_and_pauses_are_not_paid_for_twice(api: MessagesApi, claude: Make) -> None:
    searched = hosted_search("ports", ("https://a.example/", "A"))
    api.on(
        "",
        every=by_turn(
            Pause(searched),
            UseTools(Tool("search", query="port")),
            Say("That is all."),
            FOUND,
        ),
    )

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        return await one.model.research(Bench().job(hooks, hosted=frozenset({"web_search"})))

    assert await dying_everywhere(api, claude, attempt) >= 5


async def test_a_conversation_that_was_summarized_goes_on_from_its_summary(
    api: MessagesApi, claude: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(researching, "COMPACT_AT", 10_000)
    bench = Bench()

    summary = Blocks([{"type": "compaction", "content": "So far nothing."}], stop="compaction")
    api.on(lambda asked: "compaction" in asked.body, every=summary)
    api.on("So far nothing", every=by_turn(None, UseTools(Tool("search", query="port")), FOUND))
    api.on("", every=UseTools(Tool("read", path="large")))

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        return await one.model.research(bench.job(hooks))

    await dying_everywhere(api, claude, attempt)


async def test_what_the_fallback_answered_is_not_asked_of_either_again(api: MessagesApi, claude: Make) -> None:
    def reply(asked: Asked) -> Any:
        if turns(asked) == 1 and asked.model == "first":
            return Refuse("No.", category="bio")
        return [
            UseTools(Tool("search", query="a"), thinking="Hm."),
            UseTools(Tool("search", query="b"), thinking="Ah."),
            FOUND,
        ][turns(asked)]

    api.on("", every=reply)
    config = Config(models={"docs": ModelChoice(model="first", fallback="second")})

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        answer = await one.model.research(Bench().job(hooks))
        assert answer.model == "first+second"
        return answer

    assert await dying_everywhere(api, claude, attempt, kind="docs", config=config) == 4 + 2


async def test_whoever_goes_on_stays_with_the_fallback_where_the_first_model_was_away(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: asked.model == "first" and turns(asked) > 0, every=Fault(529))
    api.on("", every=by_turn(*(UseTools(Tool("search", query=query)) for query in "ab"), FOUND))
    config = Config(models={"docs": ModelChoice(model="first", fallback="second")})

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        return await one.model.research(Bench().job(hooks))

    assert await dying_everywhere(api, claude, attempt, kind="docs", config=config) == 3 + 2


async def test_what_does_not_fit_any_more_is_left_out_by_whoever_goes_on_too(claude: Make) -> None:
    async with MessagesApi(window=25_000) as api:
        api.on(
            "",
            every=by_turn(
                UseTools(Tool("read", path="large")), UseTools(Tool("read", path="larger"), Tool("search", query="port")), FOUND
            ),
        )

        def make(**_: Any) -> Claude:
            return Claude(api)

        async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
            try:
                return await one.model.research(Bench().job(hooks))
            finally:
                await one.model.close()

        assert await dying_everywhere(api, make, attempt) == 3 + 3 + 1
        assert api.rejected


async def test_faults_that_passed_and_answers_that_were_cut_off_are_behind_whoever_goes_on(
    api: MessagesApi, claude: Make
) -> None:
    def reply(asked: Asked) -> Any:
        if turns(asked) == 1 and asked.whole["max_tokens"] == 32_000:
            return CutOff("It is")
        return [UseTools(Tool("search", query="a")), FOUND][turns(asked)]

    api.on("", every=reply)

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        return await one.model.research(Bench().job(hooks))

    assert await dying_everywhere(api, claude, attempt) == 3 + 1


async def test_at_the_limit_of_the_budget_nothing_is_reserved_for_what_is_known(api: MessagesApi, claude: Make) -> None:
    api.on(
        "",
        every=by_turn(
            UseTools(Tool("search", query="a"), usage={"input_tokens": 40_000}),
            UseTools(Tool("search", query="b"), usage={"input_tokens": 60_000}),
            FOUND,
        ),
    )
    limits = Limits(max_tokens=130_000)
    ledgers: list[int] = []

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Findings]:
        assert isinstance(hooks.journal, Mortal)
        bus = hooks.journal.bus
        purse = Purse(bus, Subjects(), work(limits=limits), hooks.journal.number)
        answer = await one.model.research(Bench().job(structs.replace(hooks, purse=purse), limits=limits))
        entry = await bus.get_key(Subjects().budget_bucket, "t1")
        assert entry.value
        ledger = decode(Ledger, entry.value)
        assert not ledger.holds
        ledgers.append(ledger.spent.tokens)
        assert answer.shortfall
        assert answer.shortfall.code == "budget"
        return answer

    await dying_everywhere(api, claude, attempt)
    assert len(set(ledgers)) == 1


# ---------------------------------------------------------------------------------------------------------------- plan


async def test_a_plan_that_was_objected_to_is_put_right_by_whoever_goes_on(api: MessagesApi, claude: Make) -> None:
    api.on(
        "", every=by_turn(script.split(script.brief("a", "nobody", "Look.")), script.split(script.brief("a", "docs", "Look.")))
    )

    def check(plan: Plan) -> list[str]:
        return [f"nobody is called {subtask.kind}" for subtask in plan.subtasks if subtask.kind != "docs"]

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Plan]:
        kinds = (Announcement(kind="docs", description="Reads.", replica="d"),)
        job = Planning(structs.replace(work(), id="plan.0"), kinds, 5, Prompt("plan", "1", "Plan."), check, hooks)
        return await one.model.plan(job)

    assert await dying_everywhere(api, claude, attempt) == 2


# --------------------------------------------------------------------------------------------------------------- write


def report(asked: Asked) -> Message:
    """Digests whatever it is shown, and weighs it, better when it is told what was wrong."""
    match script.role(asked):
        case "digest":
            found = script.found(asked)
            points = [{"claim": found[0]["claim"], "findings": [item["id"] for item in found]}]
            return Say(json={"points": points, "set_aside": []})
        case "weigh":
            whole = script.weighed(asked)
            if turns(asked):
                return whole
            sections = [{"heading": "?", "points": [{"claim": "What?", "findings": ["none"]}]}]
            return Say(json={**whole.json, "sections": sections})
        case _:
            return Say([Cited("All of it says so.", (0,))])


async def test_a_report_is_digested_weighed_and_written_once(api: MessagesApi, claude: Make) -> None:
    api.on("", every=report)
    exhibits = [writing.exhibit(i, quote=f"Quote {i} says " + "much " * 200, subtask=f"s{i % 3}") for i in range(300)]

    async def attempt(one: Claude, hooks: Hooks) -> Answer[Draft]:
        return await one.model.write(writing.writing(*exhibits, hooks=hooks))

    assert await dying_everywhere(api, claude, attempt, kind="synthesize") >= 6


TEXT = [Cited(f"Sentence {i} is as long as this and says nothing of weight at all, as it were. ", (0,)) for i in range(60)]


async def test_a_report_that_broke_off_with_its_worker_goes_on_after_what_was_kept(api: MessagesApi, claude: Make) -> None:
    """The reader hears nothing twice that was kept, and what was not kept is asked for once more, from where it stops."""

    def prose(asked: Asked) -> Message:
        if script.role(asked) != "write":
            return script.weighed(asked)
        if turns(asked):
            said = asked.whole["messages"][1]["content"]
            return Say([run for run in TEXT if run.text.strip() not in said])
        return Say(TEXT)

    api.on("", every=prose)
    exhibits = [writing.exhibit(1, quote="The quote.")]

    async def attempt(one: Claude, journal: Journal) -> Answer[Draft]:
        return await one.model.write(writing.writing(*exhibits, hooks=structs.replace(one.hooks, journal=journal)))

    undisturbed = claude("synthesize")
    whole = await attempt(undisturbed, journal := await Keeping().delivery())
    assert journal.kept > 5
    for lives in range(2, journal.kept):
        keeping = Keeping()
        first, second = claude("synthesize"), claude("synthesize")
        with pytest.raises(Died):
            await attempt(first, await keeping.delivery(lives))
        again = await keeping.delivery()
        answer = await attempt(second, again)
        assert plain(answer.value.text) == plain(whole.value.text)
        assert again.unbooked["claude-opus-5-5"].model_calls == 2
        assert len(second.calls) == 1
        heard = "".join(first.text) + "".join(second.text)
        assert plain(heard) == plain("".join(undisturbed.text))
    assert not api.unexpected


SMILING, HALVES = "a" * 19 + "\N{GRINNING FACE}", "a" * 19 + "\ud83d\ude00"
"""As the API may send it: what belongs together comes in two events."""


async def test_half_a_character_ends_no_report_and_halves_that_belong_together_are_one(api: MessagesApi, claude: Make) -> None:
    whole = SMILING * 300

    def prose(asked: Asked) -> Message:
        if script.role(asked) != "write":
            return script.weighed(asked)
        said = asked.whole["messages"][1]["content"] if turns(asked) else ""
        assert whole.startswith(said)
        return Say([Cited(whole[len(said) :].replace(SMILING, HALVES), (0,))])

    api.on("", every=prose)
    exhibits = [writing.exhibit(1, quote="The quote.")]

    async def attempt(one: Claude, journal: Journal) -> Answer[Draft]:
        return await one.model.write(writing.writing(*exhibits, hooks=structs.replace(one.hooks, journal=journal)))

    undisturbed = await Keeping().delivery()
    answer = await attempt(claude("synthesize"), undisturbed)
    assert whole in plain(answer.value.text)
    assert undisturbed.kept > 5
    for lives in range(2, undisturbed.kept):
        keeping = Keeping()
        with pytest.raises(Died):
            await attempt(claude("synthesize"), await keeping.delivery(lives))
        again = await attempt(claude("synthesize"), await keeping.delivery())
        assert whole in plain(again.value.text)
    assert not api.unexpected


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_a_report_whose_stream_breaks_in_the_middle_of_a_character_goes_on(
    api: MessagesApi, claude: Make, cut: int
) -> None:
    begun = "b" * (20 - cut) + "\ud83d" + "x\ude00" * cut + "\ud83d"
    api.on(lambda asked: script.role(asked) == "write", Break(4, Say(begun)), Say(" And so on."))
    api.on("", every=script.weighed)
    one = claude("synthesize")
    journal = await Keeping().delivery()
    answer = await one.model.write(
        writing.writing(writing.exhibit(1, quote="The quote."), hooks=structs.replace(one.hooks, journal=journal))
    )
    assert answer.value.text.encode().startswith(b"b")
    assert "And so on." in answer.value.text


async def test_half_a_character_in_a_thought_is_kept_as_none(api: MessagesApi, claude: Make) -> None:
    api.on("", every=Say('{"claims": [], "gaps": ["all"]}', thinking="It may be \ud83d."))
    one, keeping = claude(), Keeping()
    for _ in range(2):
        journal = await keeping.delivery()
        answer = await one.model.research(Bench().job(structs.replace(one.hooks, journal=journal)))
    assert answer.value.gaps == ("all",)
    assert len(api.asked) == 1, "it was kept, and so not paid for again"


def plain(text: str) -> str:
    """Without marks of citations and the way that lines are broken."""
    return "".join(re.sub(r"\[[^]]*\]", "", text).split())


# ------------------------------------------------------------------------------------------------ another try, and doubt


async def test_another_try_asks_anew_only_for_what_failed(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: turns(asked) == 1, *[Fault(529)] * 5)
    api.on("", every=by_turn(UseTools(Tool("search", query="a")), FOUND))
    keeping, bench, one = Keeping(), Bench(), claude(config=Config(models={"docs": ModelChoice(fallback="")}))
    first = await keeping.delivery()
    with pytest.raises(ModelUnavailable):
        await one.model.research(bench.job(structs.replace(one.hooks, journal=first)))
    await first.close("tried_again")
    second = await keeping.delivery()
    answer = await one.model.research(bench.job(structs.replace(one.hooks, journal=second)))
    assert answer.value.claims
    assert bench.called == ["search a"]
    assert len(api.asked) == 1 + 5 + 1


async def test_an_answer_that_is_to_blame_is_asked_for_anew(api: MessagesApi, claude: Make) -> None:
    api.on("", every=by_turn(UseTools(Tool("search", query="a")), FOUND))
    keeping, one = Keeping(), claude()
    for doubted, asked in ((False, 2), (True, 2), (False, 3)):
        journal = await keeping.delivery()
        await one.model.research(Bench().job(structs.replace(one.hooks, journal=journal)))
        assert len(api.asked) == asked
        await journal.close("tried_again", doubted=doubted)


async def test_half_a_character_is_kept_as_none_and_not_paid_for_again(api: MessagesApi, claude: Make) -> None:
    api.on("", every=by_turn(UseTools(Tool("search", query="port")), Say('{"claims": [], "gaps": ["half a \ud83d"]}')))
    bench = Bench()

    async def attempt(one: Claude, hooks: Hooks) -> Any:
        return (await one.model.research(bench.job(hooks))).value

    assert await dying_everywhere(api, claude, attempt) == 3
    one = claude()
    assert (await attempt(one, one.hooks)).gaps == ("half a ?",)
