"""Loss curves as one SVG: of benchmarks/train/methods.py, or of a run's metrics.jsonl.

  python3 benchmarks/train/curve.py runs/legal/metrics.jsonl docs/training-curve.svg
"""
import json
import sys
from xml.sax.saxutils import escape

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f", "#e69f00"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 58, 24, 44, 46
INK, FAINT = "#222222", "#dddddd"


def smoothed(values, span):
    """Mean of the last so many values."""
    return [sum(values[max(0, i - span + 1):i + 1]) / len(values[max(0, i - span + 1):i + 1]) for i in range(len(values))]


def text(x, y, content, anchor="start", size=12, weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{INK}">{escape(content)}</text>'


def svg(title, curves, smooth=1, marks=None):
    """curves: {label: loss of each step}; marks: {label: [(step, loss)]}, drawn as dots; loss in nats per trained token."""
    marks = marks or {}
    lines = {label: smoothed(values, smooth) for label, values in curves.items()}
    last = max([len(v) for v in lines.values()] + [s for m in marks.values() for s, _ in m])
    top = max([max(v) for v in lines.values()] + [y for m in marks.values() for _, y in m]) * 1.05
    x = lambda step: LEFT + (WIDTH - LEFT - RIGHT) * step / last  # noqa: E731
    y = lambda loss: TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / top)  # noqa: E731
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>', text(16, 24, title, size=15, weight="bold")]
    grid = 0.5 if top <= 5 else 1.0
    for i in range(int(top / grid) + 1):
        parts += [f'<line x1="{LEFT}" y1="{y(i * grid):.1f}" x2="{WIDTH - RIGHT}" y2="{y(i * grid):.1f}" stroke="{FAINT}"/>',
                  text(LEFT - 8, y(i * grid) + 4, f"{i * grid:.1f}", "end", 11)]
    pitch = max(1, round(last / 8 / 5) * 5)
    parts += [text(x(step), HEIGHT - BOTTOM + 18, str(step), "middle", 11) for step in range(0, last + 1, pitch)]
    parts += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "step", "middle"), text(16, TOP - 6, "nats", size=11)]
    labels = []
    for (label, values), colour in zip(lines.items(), COLOURS):
        points = " ".join(f"{x(step + 1):.1f},{y(value):.1f}" for step, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        labels.append((label, colour))
    for (label, points), colour in zip(marks.items(), COLOURS[len(lines):]):
        parts += [f'<circle cx="{x(step):.1f}" cy="{y(value):.1f}" r="4" fill="{colour}"/>' for step, value in points]
        parts += [text(x(step) + (7 if step < last else -7), y(value) - 7, f"{value:.3f}", "start" if step < last else "end", 11)
                  for step, value in points]
        labels.append((label, colour))
    for i, (label, colour) in enumerate(labels):
        at = TOP + 14 + 17 * i
        parts += [f'<rect x="{WIDTH - RIGHT - 268}" y="{at - 9}" width="12" height="10" fill="{colour}"/>', text(WIDTH - RIGHT - 250, at, label)]
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">\n' + "\n".join(parts) + "\n</svg>\n"


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    events = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    name = next(e["name"] for e in events if e["event"] == "started")
    losses = [e["loss"] for e in events if e["event"] == "step"]
    held = [(e["step"], e["loss"]) for e in events if e["event"] == "evaluated"]
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write(svg(f"Loss of the run {name}", {"training, mean of 8 steps": losses}, 8, {"held out": held}))


if __name__ == "__main__":
    main()
