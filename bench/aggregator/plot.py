"""The results as a picture: rates as dots on a logarithmic scale, with a line from minimum to maximum; ratios with their 95 %
interval."""
import math
from xml.sax.saxutils import escape

import figures
import kinds
import report
from rows import values

COLOURS = {"volatile": "#c2410c", "durable": "#7c2d12", "bun": "#2563eb", "bare_volatile": "#9ca3af", "bare_durable": "#6b7280",
           "volatile_before": "#fdba74", "durable_before": "#d6a58a", "10": "#15803d", "1000": "#ca8a04", "100000": "#b91c1c"}
WIDTH, LEFT, RIGHT, ROW, HEAD, FOOT = 960, 250, 30, 30, 74, 34


class Panel:
    """A heading, a legend, an axis, and a line for each row."""

    def __init__(self, out, top, title, rows, low, high):
        self.out, self.top, self.rows, self.low, self.high = out, top + HEAD, rows, low, high
        self.bottom = self.top + ROW * len(rows)
        out.append(f'<text x="{LEFT}" y="{top + 24}" font-size="15" font-weight="bold">{escape(title)}</text>')
        for index, row in enumerate(rows):
            y = self.y(index)
            out += [f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(row["title"])}</text>',
                    f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#f3f4f6"/>']

    def x(self, value):
        share = math.log(min(max(value, self.low), self.high) / self.low) / math.log(self.high / self.low)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(self, index):
        return self.top + ROW * index + ROW / 2

    def legend(self, entries):
        at, y = LEFT, self.top - 36
        for colour, title in entries:
            if at > LEFT and at + 20 + 6.3 * len(title) > WIDTH - RIGHT:
                at, y = LEFT, y + 17
            self.out += [f'<circle cx="{at + 5:.0f}" cy="{y}" r="5" fill="{colour}"/>',
                         f'<text x="{at + 14:.0f}" y="{y + 4}">{escape(title)}</text>']
            at += 30 + 6.3 * len(title)

    def tick(self, value, said, strong=False):
        x = self.x(value)
        self.out += [f'<line x1="{x:.1f}" y1="{self.top - 8}" x2="{x:.1f}" y2="{self.bottom}" '
                     f'stroke="{"#374151" if strong else "#e5e7eb"}"/>',
                     f'<text x="{x:.1f}" y="{self.bottom + 16}" text-anchor="middle" fill="#6b7280">{said}</text>']

    def mark(self, index, shift, colour, low, middle, high):
        y = self.y(index) + shift
        self.out += [f'<line x1="{self.x(low):.1f}" y1="{y:.1f}" x2="{self.x(high):.1f}" y2="{y:.1f}" stroke="{colour}" '
                     'stroke-width="3" stroke-opacity="0.45"/>',
                     f'<circle cx="{self.x(middle):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>']

    def end(self):
        return self.bottom + FOOT


def rates(out, top, title, rows, titles):
    found = [value for row in rows for series in titles for value in values(row, series) if value]
    if not found:
        return top
    low, high = 10 ** math.floor(math.log10(min(found))), 10 ** math.ceil(math.log10(max(found)) + 1e-9)
    panel = Panel(out, top, title, rows, low, high)
    panel.legend([(COLOURS[series], said) for series, said in titles.items() if any(row["runs"].get(series) for row in rows)])
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        panel.tick(10 ** power, report.short(10 ** power))
    for index, row in enumerate(rows):
        for series in reversed(titles):
            spread = figures.spread(values(row, series))
            if spread and spread["min"] > 0:
                panel.mark(index, 0, COLOURS[series], spread["min"], spread["median"], spread["max"])
    return panel.end()


def ratios(out, top, title, rows, titles):
    pairs = report.pairs_of(rows, list(titles))
    if not pairs:
        return top
    panel = Panel(out, top, title, rows, 0.25, 4)
    colours = ["#c2410c", "#7c2d12", "#6b7280", "#111827", "#2563eb", "#15803d"]
    panel.legend([(colours[i % 6], f"{titles[a]} : {titles[b]}") for i, (a, b) in enumerate(pairs)])
    for value in (0.25, 0.5, 1, 2, 4):
        panel.tick(value, f"{value:g}", strong=value == 1)
    for index, row in enumerate(rows):
        for i, pair in enumerate(pairs):
            found = figures.ratio(values(row, pair[0]), values(row, pair[1]))
            if found:
                low, high = found.get("low", found["min"]), found.get("high", found["max"])
                panel.mark(index, 4 * i - 2 * (len(pairs) - 1), colours[i % 6], low, found["median"], high)
    return panel.end()


def svg(result):
    body, bottom = [], 0
    for name in ("fan_out", "interests"):
        kind = result["kinds"].get(name)
        if not kind:
            continue
        module = kinds.module(name)
        bottom = rates(body, bottom, module.TITLE, kind["rows"], module.COLUMNS)
        if name == "fan_out":
            bottom = ratios(body, bottom, "Ratios in the same round, with their 95 % interval", kind["rows"], module.COLUMNS)
    height = bottom + 10
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" '
                      'font-size="12">', f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *body, "</svg>", ""])
