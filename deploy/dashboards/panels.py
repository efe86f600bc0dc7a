"""What the dashboards are made of: panels from a title, a unit and queries. Grafana's own builders do the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import dashboard as dashboard_models
from grafana_foundation_sdk.models.common import StackingMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef

Unit = Literal["short", "s", "ops", "percentunit", "currencyUSD", "none"]
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
NAMESPACES = "namespace"
"""The variable that says which installations to look at. Where nobody says namespaces, there is one installation: all of it."""
_SERIES = re.compile(r"\b(concertino_[a-z_]+)(?:\{([^}]*)\})?")


@dataclass(frozen=True)
class Query:
    """PromQL, and what a line of the legend says."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """``text`` says what to read from it, and what to do where it looks bad. ``width`` is in columns of 24."""

    title: str
    text: str
    unit: Unit
    queries: Sequence[Query]
    number: bool = False
    """One figure for now, not lines over time."""
    stacked: bool = False
    width: int = 8


@dataclass(frozen=True)
class Board:
    """One dashboard: rows of panels, each row with its title."""

    uid: str
    title: str
    text: str
    rows: Sequence[tuple[str, Sequence[Panel]]]

    @property
    def panels(self) -> list[Panel]:
        return [panel for _, row in self.rows for panel in row]


def scoped(expr: str) -> str:
    """``expr`` of the namespaces that the reader chose."""

    def choose(found: re.Match[str]) -> str:
        chosen = f'{NAMESPACES}=~"${NAMESPACES}"'
        return f"{found[1]}{{{found[2]}, {chosen}}}" if found[2] else f"{found[1]}{{{chosen}}}"

    return _SERIES.sub(choose, expr)


def build(board: Board) -> dashboard.Dashboard:
    """``board`` as Grafana takes it."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.text)
        .tags(["concertino"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable(NAMESPACES)
            .label("Namespace")
            .datasource(SOURCE)
            .query(f"label_values(concertino_build_info, {NAMESPACES})")
            .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(dashboard_models.VariableOption(selected=True, text="All", value="$__all"))
        )
    )
    for title, row in board.rows:
        made = made.with_row(dashboard.Row(title))
        for panel in row:
            made = made.with_panel(_number(panel) if panel.number else _lines(panel))
    return made


def _lines(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.text)
        .datasource(SOURCE)
        .unit(panel.unit)
        .min(0)
        .span(panel.width)
        .height(8)
        .fill_opacity(30 if panel.stacked else 5)
    )
    if panel.stacked:
        made = made.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for target in _targets(panel, instant=False):
        made = made.with_target(target)
    return made


def _number(panel: Panel) -> stat.Panel:
    made = (
        stat.Panel().title(panel.title).description(panel.text).datasource(SOURCE).unit(panel.unit).span(panel.width).height(4)
    )
    for target in _targets(panel, instant=True):
        made = made.with_target(target)
    return made


def _targets(panel: Panel, *, instant: bool) -> list[prometheus.Dataquery]:
    made = []
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).datasource(SOURCE).expr(scoped(query.expr)).legend_format(query.legend)
        made.append(target.instant() if instant else target.range())
    return made
