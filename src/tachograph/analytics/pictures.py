"""Plots as files and as SVG text, made on this machine: nothing is fetched, for no format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import vl_convert

if TYPE_CHECKING:
    from tachograph.analytics.drawing import Plot

PICTURES = (".png", ".svg", ".html")
"""What the name of a picture may end with."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
WORDS, GRID = "#3c4450", "#e3e6ea"
_STYLE: dict[str, Any] = {
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": WORDS,
        "titleColor": WORDS,
        "titleFontWeight": "normal",
        "gridColor": GRID,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titlePadding": 8,
    },
    "legend": {"labelColor": WORDS, "titleColor": WORDS, "titleFontWeight": "normal"},
}
_NARROW_STEP = 42
_NAMES_ABOVE = {
    "labelAlign": "left",
    "labelBaseline": "bottom",
    "labelOffset": -11,
    "labelPadding": -2,
}


def save_plot(plot: Plot, to: Path | str) -> None:
    """Write a plot to FILE.png (twice the size, for sharp print), FILE.svg or FILE.html.

    The page has its script within it and needs no network. ValueError for any other ending.
    """
    to = Path(to)
    if to.suffix not in PICTURES:
        raise ValueError(f"{to.name} ends with none of {', '.join(PICTURES)}")
    if to.suffix == ".svg":
        to.write_text(svg(plot), encoding="utf-8")
    elif to.suffix == ".png":
        to.write_bytes(vl_convert.vegalite_to_png(_styled(plot), scale=2))
    else:
        to.write_text(_html(_styled(plot)), encoding="utf-8")


def show_pictures() -> None:
    """Notebooks show plots as PNG from now on, which needs no network."""
    alt.renderers.enable("png")


def svg(plot: Plot, *, width: int | None = None, narrow: bool = False) -> str:
    """A plot as SVG, in this width in all (pixels), labels included.

    A narrow one has the names of its rows above these instead of beside them.
    """
    spec = _styled(plot)
    if width is not None:
        spec |= {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    if narrow and isinstance(spec["height"], dict):
        spec["height"] = {"step": _NARROW_STEP}
        for layer in spec["layer"]:
            layer["encoding"]["y"]["axis"] |= _NAMES_ABOVE
            layer["encoding"]["y"]["scale"] = {"paddingInner": 0.62, "paddingOuter": 0.4}
    return vl_convert.vegalite_to_svg(spec)


def _html(spec: dict[str, Any]) -> str:
    """A page that draws the plot itself, so that it can be pointed at, zoomed and saved.

    vl-convert's own page takes a `</script>` in the data for the end of its script.
    """
    data = json.dumps(spec).replace("<", "\\u003c")
    menu = {"export": True, "source": False, "compiled": False, "editor": False}
    options = json.dumps({"renderer": "svg", "actions": menu})
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OpenRouter calls</title>
<script>{vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")}</script>
</head>
<body>
<div id="plot"></div>
<script>const drawn = vegaEmbed("#plot", {data}, {options});</script>
</body>
</html>
"""


def _styled(plot: Plot) -> dict[str, Any]:
    spec: dict[str, Any] = plot.to_dict()
    return spec | {"config": spec.get("config", {}) | _STYLE}
