"""``python -m deploy.dashboards``: write the dashboards where the chart and the compose file take them from."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panels import Board, build

FOLDER = Path(__file__).parents[2] / "helm" / "concertino" / "dashboards"


def text(board: Board) -> str:
    """The JSON that Grafana reads."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build(board).build()) + "\n"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        (FOLDER / f"{board.uid}.json").write_text(text(board), encoding="utf-8")


if __name__ == "__main__":
    main()
