"""Rate limits of the test server, as the API has them."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

import anthropic
import pytest

from concertino.testing import Limits, MessagesApi, Say
from concertino.testing.limits import Buckets

ASK = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}


def test_a_bucket_refills_all_the_time_and_says_what_is_in_it() -> None:
    now = 1_800_000_000.0
    buckets = Buckets(Limits(requests=60, input_tokens=600, filled=0.05), lambda: now)
    assert [buckets.take() is None for _ in range(4)] == [True, True, True, False]
    refused = buckets.take()
    assert refused is not None
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    now += 2.0
    headers = buckets.headers()
    assert headers["anthropic-ratelimit-requests-limit"] == "60"
    assert headers["anthropic-ratelimit-requests-remaining"] == "2"
    reset = datetime.fromisoformat(headers["anthropic-ratelimit-requests-reset"])
    assert (reset - parsedate_to_datetime(headers["date"])).total_seconds() == 58
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "50"


def test_tokens_are_paid_afterwards_and_may_be_owed() -> None:
    now = 1_800_000_000.0
    buckets = Buckets(Limits(input_tokens=600, output_tokens=60), lambda: now)
    assert buckets.take() is None
    buckets.pay(500, 70)
    assert buckets.headers()["anthropic-ratelimit-output-tokens-remaining"] == "0"
    refused = buckets.take()
    assert refused is not None
    assert "output-tokens" in refused.message
    assert refused.headers["retry-after"] == "11"


async def test_over_http_and_through_the_sdk() -> None:
    async with MessagesApi(limits=Limits(requests=2)) as api:
        api.on("hello", every=Say("hello"))
        client = anthropic.AsyncAnthropic(base_url=api.url, api_key="test", max_retries=0)
        for left in ("1", "0"):
            raw = await client.beta.messages.with_raw_response.create(**ASK)  # type: ignore[call-overload]
            assert raw.headers["anthropic-ratelimit-requests-remaining"] == left
        with pytest.raises(anthropic.RateLimitError, match="requests per minute") as caught:
            await client.beta.messages.create(**ASK)  # type: ignore[call-overload]
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 31
        assert (len(api.asked), len(api.limited), len(api.answers)) == (3, 1, 2)
        await client.close()


async def test_without_limits_nothing_is_said_of_any() -> None:
    async with MessagesApi() as api:
        api.on("hello", every=Say("hello"))
        client = anthropic.AsyncAnthropic(base_url=api.url, api_key="test", max_retries=0)
        raw = await client.beta.messages.with_raw_response.create(**ASK)  # type: ignore[call-overload]
        assert not [name for name in raw.headers if "ratelimit" in name]
        await client.close()
