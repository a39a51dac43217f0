"""The results as a picture: a dot for each median, a line from minimum to maximum, on a logarithmic scale."""
import math
from statistics import median
from xml.sax.saxutils import escape

import report

SERIES = (("foz", "Foz", "#c2410c"), ("rabbitmq", "RabbitMQ", "#2563eb"), ("rabbitmq_quorum", "RabbitMQ, quorum queue", "#93b4f5"),
          ("garagemq", "garagemq", "#15803d"), ("null", "limit: a server that does nothing", "#9ca3af"))
WIDTH, LEFT, RIGHT, TOP, ROW, FOOT = 900, 210, 30, 78, 34, 46


def rates(runs):
    """Nothing for a server that stood still in one of them."""
    found = report.values(runs, report.rate)
    return found if runs and len(found) == len(runs) else []


def svg(result):
    rows = list(result["scenarios"].values())
    numbers = [x for one in rows for runs in one["runs"].values() for x in rates(runs)]
    low = 10 ** math.floor(math.log10(min(numbers, default=1)))
    high = 10 ** math.ceil(math.log10(max(numbers, default=10)))
    bottom = TOP + ROW * len(rows)

    def x(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / low) / math.log(high / low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + FOOT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{bottom + FOOT}" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">Deliveries a second, one core for the server</text>']
    at = LEFT
    for key, title, colour in SERIES:
        if any(key in one["runs"] for one in rows):
            out += [f'<circle cx="{at + 5}" cy="44" r="5" fill="{colour}"/>', f'<text x="{at + 15}" y="48">{escape(title)}</text>']
            at += 36 + 6.4 * len(title)
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        here = x(10 ** power)
        out += [f'<line x1="{here:.1f}" y1="{TOP - 10}" x2="{here:.1f}" y2="{bottom}" stroke="#e5e7eb"/>',
                f'<text x="{here:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#6b7280">{report.short(10 ** power)}</text>']
    for index, one in enumerate(rows):
        y = TOP + ROW * index + ROW / 2
        out.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(one["title"])}</text>')
        out.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#f3f4f6"/>')
        for key, _, colour in reversed(SERIES):
            found = rates(one["runs"].get(key))
            if found:
                out += [f'<line x1="{x(min(found)):.1f}" y1="{y}" x2="{x(max(found)):.1f}" y2="{y}" stroke="{colour}" stroke-width="3" stroke-opacity="0.45"/>',
                        f'<circle cx="{x(median(found)):.1f}" cy="{y}" r="5" fill="{colour}"/>']
    out.append(f'<text x="{LEFT}" y="{bottom + 36}" fill="#6b7280">logarithmic; dot: median, line: minimum to maximum</text>')
    return "\n".join([*out, "</svg>", ""])
