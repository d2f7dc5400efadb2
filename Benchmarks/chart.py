"""Small line charts as SVG, which follow whether a reader's page is light or dark."""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 225, 150
# Between a panel's edge and where its lines are, in pixels.
LEFT, TOP, RIGHT, BOTTOM = 24, 44, 24, 26

STYLE = """
  .page { fill: #ffffff } text { fill: #1f2328; font: 11px sans-serif } .title { font-weight: 600 }
  .axis { stroke: #8c959f } .line { stroke: #0969da; stroke-width: 2; fill: none } .point { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .axis { stroke: #6e7681 }
    .line { stroke: #58a6ff } .point { fill: #58a6ff }
  }
"""


@dataclass(frozen=True)
class Panel:
    title: str
    # How many there are, one or more, and the figure then.
    points: list[tuple[int, float]]


def svg(rows: list[list[Panel]]) -> str:
    width, height = WIDTH * max(len(row) for row in rows), HEIGHT * len(rows)
    title = "; ".join(panel.title for row in rows for panel in row)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
    ]
    for down, row in enumerate(rows):
        for across, panel in enumerate(row):
            lines.append(f'<g transform="translate({across * WIDTH} {down * HEIGHT})">')
            lines += drawn(panel)
            lines.append("</g>")
    return "\n".join([*lines, "</svg>", ""])


def drawn(panel: Panel) -> list[str]:
    """Counts by their logarithm from left to right, figures from zero upwards."""
    widest = math.log10(max(count for count, _ in panel.points)) or 1
    highest = max(figure for _, figure in panel.points) or 1
    bottom = HEIGHT - BOTTOM
    places = [
        (
            LEFT + (WIDTH - LEFT - RIGHT) * math.log10(count) / widest,
            bottom - (bottom - TOP) * figure / highest,
            count,
            figure,
        )
        for count, figure in panel.points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places)
    return [
        f'<text class="title" x="{LEFT / 2}" y="18">{escape(panel.title)}</text>',
        f'<line class="axis" x1="{LEFT / 2}" y1="{bottom}" x2="{WIDTH - RIGHT / 2}" y2="{bottom}"/>',
        f'<polyline class="line" points="{line}"/>',
        *(
            f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="middle">{short(figure)}</text>'
            f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{count:,}</text>'
            for x, y, count, figure in places
        ),
    ]


def short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 20 else f"{figure:.1f}"
