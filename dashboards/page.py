"""The page around the content: one HTML file that fetches nothing, in light and dark.

The content security policy repeats the promise to the browser: no address may be contacted.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from plotly.offline import get_plotlyjs

from dashboards.arm_style import DARK, LIGHT, colour_properties

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
NO_SCRIPT = "Figures and the theme button need JavaScript; the tables hold the same numbers without it."


def page(title: str, content: str, figures: dict[str, Any]) -> str:
    """The whole file. `content` is HTML; `figures` maps an element's id to plain plotly figures."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{_style()}</style>
</head>
<body>
<noscript><p class="notice">{NO_SCRIPT}</p></noscript>
<main>
{content}
</main>
<script>{_inline_script(get_plotlyjs())}</script>
<script type="application/json" id="figures">{embedded_json(figures)}</script>
<script>{_inline_script(_resource("page.js"))}</script>
</body>
</html>
"""


def embedded_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in. NaN is refused: it is not JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _inline_script(source: str) -> str:
    return source.replace("</script", "<\\/script")


def _style() -> str:
    return (
        _resource("page.css")
        .replace("/* arm colours: light */", colour_properties(LIGHT))
        .replace("/* arm colours: dark */", colour_properties(DARK))
    )


@cache
def _resource(name: str) -> str:
    return resources.files("dashboards").joinpath(name).read_text(encoding="utf-8")
