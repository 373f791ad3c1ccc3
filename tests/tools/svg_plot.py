"""Line charts as SVG, with nothing but the standard library: for documents, so every series is named
and axes begin at zero."""
import html
import math

COLORS = ('#2f6fb3', '#d9822b', '#3a9b5c', '#b5403a', '#7d5ba6', '#5c6b73', '#c2a21d', '#1d9a9a')
FONT = 'font-family="sans-serif"'


def nice_top(value):
    """The least of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten that is not below the value."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.9999)


def short(value, unit=''):
    """'1.2k', '350m'."""
    if unit == 'percentunit':
        return f'{value * 100:g}%'
    if unit == 's' and 0 < value < 1:
        return f'{value * 1000:.3g} ms' if value >= 0.001 else f'{value * 1e6:.3g} µs'
    for limit, name in ((1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if value >= limit:
            return f'{value / limit:.3g}{name}'
    text = f'{value:.3g}'
    return f'{text} s' if unit == 's' and value > 0 else text


def chart(title, series, *, x=0, y=0, width=420, height=260, x_ticks=(), log_x=False, unit='',
          x_label='', y_label='', dots=False):
    """An <g> with one chart. `series`: [(name, [(x, y)])]; `x_ticks`: [(x, text)]."""
    left, right, top, bottom = 56, 12, 30, 34 + 14 * ((len(series) + 2) // 3)
    inner_w, inner_h = width - left - right, height - top - bottom
    points = [point for _, values in series for point in values if point[1] == point[1]]
    scale = math.log2 if log_x else float
    edges = [scale(at) for at, _ in points] + [scale(at) for at, _ in x_ticks]
    low, high = min(edges, default=0.0), max(edges, default=1.0)
    ceiling = nice_top(max((value for _, value in points), default=1.0))

    def place(at, value):
        share = 0.5 if high == low else (scale(at) - low) / (high - low)
        return (x + left + share * inner_w, y + top + inner_h * (1 - max(0.0, value) / ceiling))

    out = [f'<text x="{x + 8}" y="{y + 18}" {FONT} font-size="13" font-weight="bold">'
           f'{html.escape(title)}</text>']
    for part in range(5):
        value = ceiling * part / 4
        line = y + top + inner_h * (1 - part / 4)
        out.append(f'<line x1="{x + left}" x2="{x + width - right}" y1="{line:.1f}" y2="{line:.1f}" '
                   f'stroke="#ddd"/><text x="{x + left - 6}" y="{line + 4:.1f}" {FONT} '
                   f'font-size="10" text-anchor="end" fill="#555">{short(value, unit)}</text>')
    for at, text in x_ticks:
        across = place(at, 0)[0]
        out.append(f'<text x="{across:.1f}" y="{y + top + inner_h + 14}" {FONT} font-size="10" '
                   f'text-anchor="middle" fill="#555">{html.escape(text)}</text>')
    if x_label:
        out.append(f'<text x="{x + left + inner_w / 2}" y="{y + top + inner_h + 28}" {FONT} '
                   f'font-size="11" text-anchor="middle" fill="#555">{html.escape(x_label)}</text>')
    if y_label:
        out.append(f'<text x="{x + width - right}" y="{y + 18}" {FONT} font-size="11" '
                   f'text-anchor="end" fill="#555">{html.escape(y_label)}</text>')
    for number, (name, values) in enumerate(series):
        color = COLORS[number % len(COLORS)]
        placed = [place(at, value) for at, value in values if value == value]
        out.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.6" points="'
                   + ' '.join(f'{a:.1f},{b:.1f}' for a, b in placed) + '"/>')
        if dots or len(placed) == 1:
            out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" fill="{color}"/>' for a, b in placed]
        column, row = number % 3, number // 3
        key_x = x + left - 40 + column * (inner_w + 40) / 3
        key_y = y + top + inner_h + (40 if x_label else 28) + 13 * row
        out.append(f'<rect x="{key_x:.1f}" y="{key_y - 7:.1f}" width="9" height="3" fill="{color}"/>'
                   f'<text x="{key_x + 13:.1f}" y="{key_y - 2:.1f}" {FONT} font-size="10">'
                   f'{html.escape(name[:30])}</text>')
    return '<g>' + ''.join(out) + '</g>'


def document(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}"><rect width="100%" height="100%" fill="white"/>'
            + '\n'.join(parts) + '</svg>\n')
