"""A results file of run.py as one SVG: output tokens per second, a bar for every load and server, whiskers lowest to highest."""
from xml.sax.saxutils import escape

SERIES = (("chorale", "Chorale", "#0072b2"), ("llama.cpp", "llama.cpp", "#b0b0b0"), ("vllm", "vLLM", "#d9a441"))
WORDS = {"base": "no adapter", "one": "one adapter", "distinct": "8 adapters in turn", "zipf": "8 adapters, skewed"}
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 215, 70, 58, 56
BAR, GROUP_GAP = 15, 14
INK, FAINT = "#222222", "#dddddd"


def step_of(highest):
    """A round distance between grid lines that makes four to eight of them."""
    step = 1
    while highest / step > 8:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def text(x, y, content, anchor="start", size=12, weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{INK}">{escape(content)}</text>'


def box(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def line(x1, y1, x2, y2, colour, width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def bar(x_of, y, rate, colour):
    middle, low, high = y + BAR / 2, x_of(rate["min"]), x_of(rate["max"])
    parts = [box(LEFT, y, x_of(rate["median"]) - LEFT, BAR, colour), line(low, middle, high, middle, INK)]
    parts += [line(x, middle - 3, x, middle + 3, INK) for x in (low, high)]
    value = rate["median"]
    return [*parts, text(high + 5, middle + 4, f"{value:.0f}" if value >= 100 else f"{value:.1f}", size=11)]


def legend(y, series):
    parts, x = [], LEFT
    for _, label, colour in series:
        parts += [box(x, y - 10, 12, 12, colour), text(x + 17, y, label)]
        x += 100
    return parts


def svg(found):
    points = [entry for entry in found["points"] if entry["kind"] == "decode"]
    series = [one for one in SERIES if one[0] in found["servers"]]
    highest = max(1.0, *(entry["servers"][name][entry["rate"]]["max"] for entry in points for name, _, _ in series))
    pitch = len(series) * BAR + GROUP_GAP
    floor = TOP + pitch * len(points)
    height = floor + BOTTOM

    def x_of(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * value / highest

    host = found["machine"]
    parts = [box(0, 0, WIDTH, height, "#ffffff"),
             text(16, 24, "Output tokens per second of all clients, higher is better", size=15, weight="bold"), *legend(46, series)]
    tick, step = 0, step_of(highest)
    while tick <= highest:
        parts += [line(x_of(tick), TOP, x_of(tick), floor, FAINT), text(x_of(tick), floor + 16, str(tick), "middle", 11)]
        tick += step
    for index, entry in enumerate(points):
        y = TOP + pitch * index + GROUP_GAP / 2
        clients = f"{entry['concurrency']} client{'s' if entry['concurrency'] > 1 else ''}"
        parts.append(text(LEFT - 10, y + BAR + 4, f"{clients}, {WORDS[entry['mix']]}", "end"))
        for offset, (name, _, colour) in enumerate(series):
            parts += bar(x_of, y + offset * BAR, entry["servers"][name][entry["rate"]], colour)
    parts.append(text(16, height - 12, f"{host['cpu']}, {host['usable_processors']} processors; {found['model']['file']}; {found['date']}; "
                      f"median, whiskers lowest to highest of {found['rounds']} rounds", size=11))
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="sans-serif" role="img" aria-label="Bar chart of output tokens per second">\n{body}\n</svg>\n')
