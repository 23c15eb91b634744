"""Charts as SVG: the style sheet colours them, so that they are readable in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

SHADES = 10
"""Classes l0 to l9 and s0 to s9 of the style sheet."""


def shade(i: int) -> str:
    """Return the class of the i-th label of an action space; -1 is that of no label."""
    return "lx" if i < 0 else f"l{i % SHADES}"


def mix(counts: Mapping[str, int], order: Sequence[str]) -> Markup:
    """Return a bar of the shares of each label, in the order and colours of the action space."""
    total = sum(counts.values())
    parts, x = [], 0.0
    names = [*order, *(label for label in counts if label not in order)]
    for i, label in enumerate(names):
        width = 100 * counts.get(label, 0) / total if total else 0
        if width:
            text = f"{label}: {counts[label]:,} ({width:.1f} %)"
            kind = shade(i if i < len(order) else -1)
            parts.append(
                Markup('<rect class="{}" x="{:.2f}" width="{:.2f}" height="10"><title>{}</title></rect>').format(
                    kind, x, width, text
                )
            )
            x += width
    said = ", ".join(f"{label} {100 * n / total:.0f} %" for label, n in counts.items()) if total else "nothing"
    return Markup(
        '<svg class="mix" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(said, Markup("").join(parts))


def _ticks(low: float, high: float) -> list[float]:
    """Return some three to six round numbers from `low` to `high`."""
    span = high - low or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next((f for f in (1, 2, 5, 10) if span / (step * f) <= 5), 10)
    first = math.floor(low / step)
    return [round(i * step, 10) for i in range(first, math.ceil(high / step) + 1)]


def lines(title: str, series: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> Markup:
    """Draw (name, x, y) as lines with dots; what is not finite is left out."""
    points = [(x, y) for _, xs, ys in series for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
    if not points:
        return Markup("<p>no curve yet</p>")
    width, height, left, bottom = 420, 210, 46, 26
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    ys = _ticks(min(y for _, y in points), max(y for _, y in points))
    plot_w, plot_h = width - left - 10, height - bottom - 22

    def at(x: float, y: float) -> tuple[float, float]:
        return left + plot_w * (x - x0) / ((x1 - x0) or 1), 22 + plot_h * (1 - (y - ys[0]) / ((ys[-1] - ys[0]) or 1))

    parts = [Markup('<text class="title" x="{}" y="13">{}</text>').format(left, title)]
    for tick in ys:
        _, y = at(x0, tick)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(left, width, y, y))
        parts.append(Markup('<text class="tick end" x="{}" y="{:.1f}">{:g}</text>').format(left - 6, y + 4, tick))
    number = Markup('<text class="tick mid" x="{:.1f}" y="{}">{:g}</text>')
    parts += [number.format(at(tick, ys[0])[0], height - 6, tick) for tick in _whole_ticks(x0, x1)]
    for i, (name, xs, values) in enumerate(series):
        path = [at(x, y) for x, y in zip(xs, values, strict=True) if math.isfinite(y)]
        parts.append(_curve(name, path, i % SHADES))
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, title, Markup("").join(parts)
    )


def _whole_ticks(low: float, high: float) -> list[int]:
    return sorted({round(low + (high - low) * i / 5) for i in range(6)})


def _curve(name: str, path: Sequence[tuple[float, float]], shade: int) -> Markup:
    """Return a line through the points, with a dot on each that says whose it is."""
    line = Markup('<polyline class="s{}" points="{}"/>').format(shade, " ".join(f"{x:.1f},{y:.1f}" for x, y in path))
    dot = Markup('<circle class="s{}" cx="{:.1f}" cy="{:.1f}" r="2.5"><title>{}</title></circle>')
    return line + Markup("").join(dot.format(shade, x, y, name) for x, y in path)


def runs(title: str, groups: Sequence[str], rows: Sequence[tuple[str, str, float, bool]]) -> Markup:
    """Draw lap times or scores as dots: rows are (group, name, value, incident), a column for each group.

    The colour says the name, a star the incident.
    """
    if not rows:
        return Markup("<p>there are no {}</p>").format(title)
    names = list(dict.fromkeys(name for _, name, _, _ in rows))
    height, left, top = 250, 46, 22
    width = max(880, left + 110 * len(groups))
    values = [value for _, _, value, _ in rows]
    ys = _ticks(min(0.0, *values), max(0.0, *values))
    plot_h, column = height - top - 26, (width - left) / len(groups)

    def height_of(value: float) -> float:
        return top + plot_h * (1 - (value - ys[0]) / (ys[-1] - ys[0]))

    parts = [Markup('<text class="title" x="{}" y="13">{}</text>').format(left, title)]
    for tick in ys:
        y = height_of(tick)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(left, width, y, y))
        parts.append(Markup('<text class="tick end" x="{}" y="{:.1f}">{:g}</text>').format(left - 6, y + 4, tick))
    for g, group in enumerate(groups):
        middle = left + column * (g + 0.5)
        parts.append(Markup('<text class="tick mid" x="{:.1f}" y="{}">{}</text>').format(middle, height - 6, group))
        for i, name in enumerate(names):
            mine = [(t, star) for where, who, t, star in rows if (where, who) == (group, name)]
            for k, (t, star) in enumerate(mine):
                x = middle + (i - (len(names) - 1) / 2) * min(28, column / (len(names) + 1)) + (k % 5 - 2) * 1.5
                y = height_of(t)
                mark = f"{name}: {t:.2f}" + (", incident" if star else "")
                shape = (
                    Markup('<text class="star f{}" x="{:.1f}" y="{:.1f}">★<title>{}</title></text>')
                    if star
                    else Markup('<circle class="f{}" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>')
                )
                parts.append(shape.format(i % SHADES, x, y + (5 if star else 0), mark))
    legend = [
        Markup('<circle class="f{}" cx="{}" cy="9" r="4"/><text class="tick" x="{}" y="13">{}</text>').format(
            i % SHADES, width - 118 * (len(names) - i), width - 118 * (len(names) - i) + 8, name[:16]
        )
        for i, name in enumerate(names)
    ]
    return Markup('<svg class="chart wide" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, escape(title), Markup("").join([*parts, *legend])
    )
