"""The three dashboards: is the fleet keeping up, do tasks come out well, what does it cost."""

from __future__ import annotations

from deploy.dashboards.panels import Board, Panel, Query


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def _queues(metric: str) -> str:
    """Every orchestrator tells of every queue: the highest of what they say, and the sum over installations."""
    return f"sum by (kind, lane) (max by (namespace, kind, lane) ({metric}))"


def _a_task(metric: str) -> str:
    return f"sum(rate({metric}[$__rate_interval])) / sum(rate(concertino_tasks_total[$__rate_interval]))"


def _quantile(share: float, histogram: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))"


FLEET = Board(
    uid="concertino-fleet",
    title="Concertino / Fleet",
    text="Is the fleet keeping up: throughput, queues and saturation of each kind of worker.",
    rows=(
        (
            "Now",
            (
                Panel(
                    "Waiting",
                    "Work in queues.",
                    "short",
                    [Query("sum(max by (namespace, kind, lane) (concertino_pending))")],
                    number=True,
                    width=6,
                ),
                Panel("Running", "Work that some worker has.", "short", [Query("sum(concertino_in_flight)")], True, width=6),
                Panel(
                    "Slots in use",
                    "Near 100 % for long: more replicas of the busiest kind.",
                    "percentunit",
                    [Query("sum(concertino_in_flight) / sum(concertino_slots)")],
                    number=True,
                    width=6,
                ),
                Panel(
                    "Processes connected",
                    "Each service counts once. Below the number of pods: look at their logs.",
                    "short",
                    [Query("sum(concertino_bus_connected)")],
                    number=True,
                    width=6,
                ),
            ),
        ),
        (
            "By kind",
            (
                Panel(
                    "Throughput",
                    "Pieces of work that ended.",
                    "ops",
                    [Query(_rate("concertino_work_seconds_count", "kind"), "{{kind}}")],
                    stacked=True,
                ),
                Panel(
                    "Waiting in queues",
                    "A line that only rises: nobody serves that kind, or not enough.",
                    "short",
                    [Query(_queues("concertino_pending"), "{{kind}} {{lane}}")],
                ),
                Panel(
                    "Queues in use",
                    "Of what each may hold. At 100 % tasks that need it are refused.",
                    "percentunit",
                    [
                        Query(
                            "max by (kind, lane) (max by (namespace, kind, lane) (concertino_pending + concertino_ack_pending)"
                            " / on (namespace) group_left () max by (namespace) (concertino_queue_limit > 0))",
                            "{{kind}} {{lane}}",
                        )
                    ],
                ),
                Panel(
                    "Work that waits for room",
                    "Times that work of a task was not taken by its queue, as that was full. It is tried again.",
                    "ops",
                    [Query(_rate("concertino_queue_full_total", "kind, lane"), "{{kind}} {{lane}}")],
                ),
                Panel(
                    "Taken and not settled",
                    "What workers have, what waits in a worker for a slot, and what is to come again, later or from the dead.",
                    "short",
                    [Query(_queues("concertino_ack_pending"), "{{kind}} {{lane}}")],
                ),
                Panel(
                    "Saturation",
                    "Slots in use.",
                    "percentunit",
                    [Query("sum by (kind) (concertino_in_flight) / sum by (kind) (concertino_slots)", "{{kind}}")],
                ),
                Panel(
                    "Told to end, and does not",
                    "Handlers that hold a slot or a thread for ever: the log names their work.",
                    "short",
                    [Query("sum by (kind) (concertino_stuck)", "{{kind}}")],
                ),
                Panel(
                    "Wait for a slot, 95 %",
                    "From the queue to the start of the attempt.",
                    "s",
                    [Query(_quantile(0.95, "concertino_queue_seconds", "kind"), "{{kind}}")],
                ),
                Panel(
                    "Work, median and 95 %",
                    "One attempt.",
                    "s",
                    [
                        Query(_quantile(0.5, "concertino_work_seconds", "kind"), "{{kind}} median"),
                        Query(_quantile(0.95, "concertino_work_seconds", "kind"), "{{kind}} 95 %"),
                    ],
                ),
            ),
        ),
        (
            "Trouble",
            (
                Panel(
                    "Redeliveries",
                    "Workers that died, lost their lease, or asked for another try.",
                    "ops",
                    [Query(_rate("concertino_redeliveries_total", "kind"), "{{kind}}")],
                ),
                Panel(
                    "Handed back",
                    "By workers that left before they were done: a rollout, or a scale-down with too little grace.",
                    "ops",
                    [Query(_rate("concertino_handed_back_total", "kind"), "{{kind}}")],
                ),
                Panel(
                    "Answers used again",
                    "What a model had said when a worker died, left or failed: whoever went on did not ask for it again.",
                    "ops",
                    [Query(_rate("concertino_recalled_answers_total", "kind"), "{{kind}}")],
                ),
                Panel(
                    "Facts that wait for an orchestrator",
                    "More than a handful for long: more orchestrators, or a slow NATS.",
                    "short",
                    [Query("sum by (state) (max by (namespace, state) (concertino_triggers))", "{{state}}")],
                ),
                Panel(
                    "Facts handed over",
                    "Each task is one orchestrator's, and the others have it look. Unanswered: one hangs, or has just gone.",
                    "ops",
                    [Query(_rate("concertino_handed_over_total", "answer"), "{{answer}}")],
                ),
                Panel(
                    "Timers that did not come",
                    "An orchestrator said what was due in the place of NATS, seconds late. For long: look at its servers.",
                    "ops",
                    [Query("sum(rate(concertino_timers_overdue_total[$__rate_interval]))")],
                ),
                Panel(
                    "Requests to sites",
                    "Pages and documents that workers fetched, by how that ended; 4xx and 5xx are answers.",
                    "ops",
                    [Query(_rate("concertino_fetch_seconds_count", "ended"), "{{ended}}")],
                    stacked=True,
                ),
                Panel(
                    "MCP servers, 95 %",
                    "One call. Servers that are configured, by how their calls ended.",
                    "s",
                    [Query(_quantile(0.95, "concertino_mcp_call_seconds", "server, ended"), "{{server}} {{ended}}")],
                ),
                Panel(
                    "Releases",
                    "Which releases run.",
                    "short",
                    [Query("count by (service, version) (concertino_build_info)", "{{service}} {{version}}")],
                ),
            ),
        ),
    ),
)

TASKS = Board(
    uid="concertino-tasks",
    title="Concertino / Tasks",
    text="Do tasks come out well: outcomes, latency, and what went wrong on the way.",
    rows=(
        (
            "Outcomes",
            (
                Panel(
                    "Tasks by outcome",
                    "Partial is an answer with parts missing; its reason says which.",
                    "ops",
                    [Query(_rate("concertino_tasks_total", "outcome"), "{{outcome}}")],
                    stacked=True,
                ),
                Panel(
                    "Answered in full",
                    "Share of all tasks.",
                    "percentunit",
                    [
                        Query(
                            'sum(rate(concertino_tasks_total{outcome="answered"}[$__rate_interval]))'
                            " / sum(rate(concertino_tasks_total[$__rate_interval]))"
                        )
                    ],
                ),
                Panel(
                    "Submission to outcome",
                    "Median, 95 % and 99 % of all tasks.",
                    "s",
                    [
                        Query(_quantile(0.5, "concertino_task_seconds"), "median"),
                        Query(_quantile(0.95, "concertino_task_seconds"), "95 %"),
                        Query(_quantile(0.99, "concertino_task_seconds"), "99 %"),
                    ],
                ),
            ),
        ),
        (
            "On the way",
            (
                Panel(
                    "Rounds a task",
                    "Above 1: reports name gaps that another round is to close.",
                    "none",
                    [Query(_a_task("concertino_rounds_total"))],
                ),
                Panel(
                    "Failed results",
                    "By kind and cause. The tasks go on without them.",
                    "ops",
                    [Query(_rate("concertino_failed_results_total", "kind, code") + " > 0", "{{kind}} {{code}}")],
                ),
                Panel(
                    "Results that never came",
                    "Subtasks that had no result when their task ended: too little time, or nobody to do them.",
                    "ops",
                    [Query(_rate("concertino_missing_results_total", "kind"), "{{kind}}")],
                ),
                Panel(
                    "Retries",
                    "By kind and cause.",
                    "ops",
                    [Query(_rate("concertino_retries_total", "kind, code"), "{{kind}} {{code}}")],
                ),
                Panel(
                    "Hedges",
                    "Second attempts beside a slow first: sent, won (it was first) and lost. All lost: they come too early.",
                    "ops",
                    [
                        Query(_rate("concertino_hedges_total", "kind"), "{{kind}} sent"),
                        Query(_rate("concertino_hedges_ended_total", "kind, hedge"), "{{kind}} {{hedge}}"),
                    ],
                ),
                Panel(
                    "Results that came second",
                    "Another attempt was first: its price is booked apart.",
                    "ops",
                    [Query(_rate("concertino_late_results_total", "kind"), "{{kind}}")],
                ),
                Panel(
                    "Citations that failed their check",
                    "Share of quotes that were not in the evidence, and were left out.",
                    "percentunit",
                    [
                        Query(
                            'sum(rate(concertino_citations_total{check="failed"}[$__rate_interval]))'
                            " / sum(rate(concertino_citations_total[$__rate_interval]))"
                        )
                    ],
                ),
                Panel(
                    "Tool calls",
                    "By kind and how they ended; limit: refused, as the brief allows no more.",
                    "ops",
                    [Query(_rate("concertino_tool_calls_total", "kind, ended"), "{{kind}} {{ended}}")],
                ),
            ),
        ),
    ),
)

SPEND = Board(
    uid="concertino-spend",
    title="Concertino / Spend",
    text="What it costs: tokens and dollars by kind and model.",
    rows=(
        (
            "Money",
            (
                Panel(
                    "Dollars an hour",
                    "By kind.",
                    "currencyUSD",
                    [Query(f"3600 * {_rate('concertino_cost_dollars_total', 'kind')}", "{{kind}}")],
                    stacked=True,
                ),
                Panel(
                    "Dollars an hour by model",
                    "By model.",
                    "currencyUSD",
                    [Query(f"3600 * {_rate('concertino_cost_dollars_total', 'model')}", "{{model}}")],
                    stacked=True,
                ),
                Panel(
                    "Dollars a task",
                    "All spending over all outcomes.",
                    "currencyUSD",
                    [Query(_a_task("concertino_cost_dollars_total"))],
                ),
            ),
        ),
        (
            "Tokens",
            (
                Panel(
                    "Refused by a budget",
                    "Calls that were not made, as a task had too little left, or nobody could say (unpriced, ledger).",
                    "ops",
                    [Query(_rate("concertino_budget_refusals_total", "kind, lacking"), "{{kind}} {{lacking}}")],
                ),
                Panel(
                    "Searches by providers",
                    "They are in the dollars.",
                    "ops",
                    [Query(_rate("concertino_provider_searches_total", "kind, model"), "{{kind}} {{model}}")],
                ),
                Panel(
                    "Calls without a price",
                    "Dollars do not contain them: name the model's price in the configuration.",
                    "ops",
                    [Query(_rate("concertino_unpriced_calls_total", "kind, model"), "{{kind}} {{model}}")],
                ),
                Panel(
                    "Tokens by kind",
                    "Input, output, written to and read from the provider's cache.",
                    "ops",
                    [Query(_rate("concertino_tokens_total", "kind, type"), "{{kind}} {{type}}")],
                    stacked=True,
                ),
                Panel(
                    "Read from the cache",
                    "Share of all input. Low: prompts change, or work is too short to profit.",
                    "percentunit",
                    [
                        Query(
                            'sum(rate(concertino_tokens_total{type="cache_read"}[$__rate_interval]))'
                            ' / sum(rate(concertino_tokens_total{type!="output"}[$__rate_interval]))'
                        )
                    ],
                ),
                Panel(
                    "Model calls by how they ended",
                    "Codes of errors beside stop reasons.",
                    "ops",
                    [Query(_rate("concertino_model_calls_total", "model, ended"), "{{model}} {{ended}}")],
                ),
                Panel(
                    "Waits for the provider",
                    "Calls that wait for their turn, on average. What is sent back to its queue: Retries, rate_limited.",
                    "short",
                    [Query(_rate("concertino_rate_wait_seconds_sum", "model"), "{{model}}")],
                ),
                Panel(
                    "Turned away by the provider",
                    "By HTTP status: 429 is a rate limit, 529 an overload. Often: somebody else uses the same key.",
                    "ops",
                    [Query(_rate("concertino_rate_refusals_total", "model, refusal"), "{{model}} {{refusal}}")],
                ),
                Panel(
                    "One call, median and 95 %",
                    "By model.",
                    "s",
                    [
                        Query(_quantile(0.5, "concertino_model_call_seconds", "model"), "{{model}} median"),
                        Query(_quantile(0.95, "concertino_model_call_seconds", "model"), "{{model}} 95 %"),
                    ],
                ),
            ),
        ),
    ),
)

BOARDS = (FLEET, TASKS, SPEND)
