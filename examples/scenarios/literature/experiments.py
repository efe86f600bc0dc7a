"""The simulations behind the papers of this folder. ``python experiments.py`` prints every figure in them.

Discrete events, seeded; rates are requests a second, times are seconds unless a name says ms.
"""

# ruff: noqa: S311  (chance, not secrets)

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from statistics import mean
from typing import Any

BASE_MS, CAP_MS = 5.0, 2000.0
TIMEOUT, STALL, END = 1.0, (30, 40), 330
CAPACITY = 100.0


def contention(clients: int, pause: Callable[[random.Random, int, float], float], seed: int) -> tuple[int, float]:
    """Calls made, and ms until the last of ``clients`` has written one record that is guarded by its version."""
    rng, version, calls, end = random.Random(seed), 0, 0, 0.0
    tries, slept = [0] * clients, [BASE_MS] * clients
    events: list[tuple[float, int, bool, int]] = [(abs(rng.gauss(10, 2)), client, False, 0) for client in range(clients)]
    heapq.heapify(events)
    while events:
        now, client, writing, read = heapq.heappop(events)
        calls += 1
        delay = abs(rng.gauss(10, 2))
        if not writing:
            heapq.heappush(events, (now + delay, client, True, version))
        elif read == version:
            version, end = version + 1, now
        else:
            tries[client] += 1
            slept[client] = pause(rng, tries[client], slept[client])
            heapq.heappush(events, (now + slept[client] + delay, client, False, 0))
    return calls, end


def exponential(tries: int) -> float:
    return min(CAP_MS, BASE_MS * 2**tries)


PAUSES: dict[str, Callable[[random.Random, int, float], float]] = {
    "none at all": lambda rng, tries, slept: 0.0,
    "exponential": lambda rng, tries, slept: exponential(tries),
    "equal jitter": lambda rng, tries, slept: exponential(tries) / 2 + rng.uniform(0, exponential(tries) / 2),
    "full jitter": lambda rng, tries, slept: rng.uniform(0, exponential(tries)),
    "decorrelated": lambda rng, tries, slept: min(CAP_MS, rng.uniform(BASE_MS, slept * 3)),
}


def stall(rate: float, attempts: int, budget: float, seed: int, *, drop: bool) -> tuple[float, float, int | None]:
    """Answers a second in the last minute, tries a second, and seconds until nine tenths are answered again (None: never).

    One server works through its queue in order, and stands still from second 30 to 40. Callers wait a second, then try again
    after a jittered pause. ``drop``: the server passes over what has waited for longer than that. ``budget``: retries for each
    request that a client may save up, ten at the most.
    """
    rng = random.Random(seed)
    events: list[tuple[float, int, int]] = []
    now = 0.0
    while now < END:
        now += rng.expovariate(rate)
        heapq.heappush(events, (now, len(events), 1))
    free, tokens, number = 0.0, 10.0, len(events)
    answered, tried = [0] * (END + 20), [0] * (END + 20)
    while events:
        now, _, attempt = heapq.heappop(events)
        if now > END:
            break
        if attempt == 1:
            tokens = min(tokens + budget, 10.0)
        tried[int(now)] += 1
        start = max(now, free)
        if STALL[0] <= start < STALL[1]:
            start = float(STALL[1])
        if not (drop and start - now > TIMEOUT):
            free = start + rng.expovariate(CAPACITY)
            if free - now <= TIMEOUT:
                answered[int(free)] += 1
                continue
        if attempt < attempts and (not budget or tokens >= 1):
            tokens -= 1 if budget else 0
            heapq.heappush(events, (now + TIMEOUT + rng.uniform(0, 0.1 * 2 ** (attempt - 1)), number, attempt + 1))
            number += 1
    windows = ((s - STALL[1], sum(answered[s : s + 5]) / 5) for s in range(STALL[1], END - 5))
    back = next((after for after, each in windows if each >= 0.9 * rate), None)
    return sum(answered[END - 60 : END]) / 60, sum(tried[60:120]) / 60, back


def hedging(slow: float, share: float, count: int = 200_000) -> tuple[list[float], float]:
    """ms at the 50th, 99th and 99.9th percentile, and per cent of extra requests, where a second request goes out once the
    first has taken longer than ``share`` of all do. ``slow`` of all answers take twenty times as long."""
    rng = random.Random(1)

    def latency() -> float:
        return rng.lognormvariate(3.0, 0.4) * (20 if rng.random() < slow else 1)

    cut = sorted(latency() for _ in range(count))[int(count * share)] if share < 1 else float("inf")
    times, extra = [], 0
    for _ in range(count):
        first = latency()
        if first > cut:
            extra += 1
            first = min(first, cut + latency())
        times.append(first)
    times.sort()
    return [times[int(count * at)] for at in (0.5, 0.99, 0.999)], 100 * extra / count


def main() -> None:
    print("contention: clients, pause, calls, ms")
    for clients in (5, 20, 100):
        for name, pause in PAUSES.items():
            runs = [contention(clients, pause, seed) for seed in range(30)]
            print(f"{clients:>5}  {name:<13} {mean(calls for calls, _ in runs):>6.0f} {mean(ms for _, ms in runs):>7.0f}")
    print("stall: rate, attempts, budget, drop, answers a second in the last minute, tries a second, seconds to recover")
    for drop in (False, True):
        for rate in (60, 75, 90):
            for attempts, budget in ((1, 0.0), (2, 0.0), (3, 0.0), (5, 0.0), (3, 0.1), (5, 0.1)):
                stalls: list[Any] = [stall(rate, attempts, budget, seed, drop=drop) for seed in range(5)]
                means = [mean(run[at] for run in stalls) for at in (0, 1)]
                print(f"{rate:>5} {attempts} {budget:g} {drop!s:<5} {means[0]:.1f} {means[1]:.1f}", [run[2] for run in stalls])
    print("hedging: slow answers, after which share, ms at p50, p99 and p99.9, extra requests in per cent")
    for slow in (0.01, 0.03):
        for share in (1.0, 0.9, 0.95, 0.99):
            percentiles, extra = hedging(slow, share)
            print(f"{slow:g} {share:g}", [round(ms) for ms in percentiles], f"{extra:.1f}")


if __name__ == "__main__":
    main()
