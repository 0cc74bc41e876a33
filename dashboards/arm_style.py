"""How an arm looks everywhere on the page: a colour per theme, a marker shape and a dash pattern.

Colours follow Okabe and Ito, shifted darker on white and lighter on black until a line stands out from the
ground; shape and dash repeat the distinction for whoever does not see the colours. The baseline always
gets the first, neutral style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

LIGHT = ("#3b4248", "#0072b2", "#c65300", "#00805e", "#b0488a", "#8a6900", "#3f51b5")
DARK = ("#d3d8dd", "#56b4e9", "#ff8a3d", "#2fc79a", "#e79bc8", "#f0e442", "#9fa8ff")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")

_STROKES = {"solid": "", "dash": "6 4", "dot": "2 3", "dashdot": "6 3 2 3", "longdash": "10 4"}
_OUTLINES = {
    "circle": "M19 7a5 5 0 1 1-10 0a5 5 0 1 1 10 0Z",
    "square": "M9.5 2.5h9v9h-9Z",
    "triangle-up": "M14 1.5l5.5 9.5h-11Z",
    "diamond": "M14 1l6 6l-6 6l-6-6Z",
    "triangle-down": "M14 12.5l5.5-9.5h-11Z",
    "cross": "M12 2h4v3h3v4h-3v3h-4v-3h-3v-4h3Z",
    "x": "M11 2l3 3l3-3l2 2l-3 3l3 3l-2 2l-3-3l-3 3l-2-2l3-3l-3-3Z",
    "star": "M14 1l1.8 4h4.2l-3.3 2.8l1.2 4.4l-3.9-2.4l-3.9 2.4l1.2-4.4l-3.3-2.8h4.2Z",
}


@dataclass(frozen=True, slots=True)
class ArmStyle:
    """Indexes into the palettes: `colour` names the page's CSS property `--arm-<colour>`."""

    colour: int
    shape: str
    dash: str


class HasArms(Protocol):
    """Whatever is drawn by arm."""

    @property
    def baseline(self) -> str:
        """The arm that the others are compared with."""

    @property
    def arms(self) -> Sequence[str]:
        """All of them."""


def arm_styles(data: HasArms) -> dict[str, ArmStyle]:
    """A style per arm, the baseline first; past the palette colours repeat with other shapes."""
    ordered = [data.baseline, *(arm for arm in data.arms if arm != data.baseline)]
    styles = {}
    for index, arm in enumerate(ordered):
        colour = index if index < len(LIGHT) else 1 + (index - len(LIGHT)) % (len(LIGHT) - 1)
        styles[arm] = ArmStyle(colour, SHAPES[index % len(SHAPES)], DASHES[index % len(DASHES)])
    return styles


def colour_properties(palette: tuple[str, ...]) -> str:
    """The palette as CSS custom properties."""
    return "".join(f"--arm-{index}:{colour};" for index, colour in enumerate(palette))


def legend(data: HasArms, arms: Sequence[str]) -> str:
    """HTML of a figure's legend: line, marker and name of each of these arms."""
    styles = arm_styles(data)
    items = "".join(f"<li>{_swatch(styles[arm])} {_named(arm, data)}</li>" for arm in arms)
    return f'<ul class="legend" aria-label="Arms">{items}</ul>'


def _named(arm: str, data: HasArms) -> str:
    suffix = ' <span class="soft">(baseline)</span>' if arm == data.baseline else ""
    return f"<span>{escape(arm)}{suffix}</span>"


def _swatch(style: ArmStyle) -> str:
    return (
        f'<svg class="swatch" style="color:var(--arm-{style.colour})" width="28" height="14"'
        ' viewBox="0 0 28 14" aria-hidden="true"><path d="M0 7h28" stroke="currentColor" stroke-width="2"'
        f' stroke-dasharray="{_STROKES[style.dash]}"/>'
        f'<path d="{_OUTLINES[style.shape]}" fill="currentColor"/></svg>'
    )
