"""Small pieces of HTML. Whatever comes from data goes through `escape` before it gets here or in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def scroll_table(caption: str, head: str, rows: Iterable[str], css: str = "") -> str:
    """A table in a container of its own that scrolls sideways, also with the keyboard.

    `caption` is plain text, `head` and `rows` are HTML of whole `<tr>` elements.
    """
    label = escape(caption)
    return (
        f'<div class="scroll {css}" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<caption><span>{label}</span></caption><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def head_row(titles: Sequence[str], numeric: Sequence[str] = ()) -> str:
    """A row of column headings; those in `numeric` are aligned like their numbers."""
    cells = (
        f'<th scope="col"{" class=num" if title in numeric else ""}>{escape(title)}</th>' for title in titles
    )
    return f"<tr>{''.join(cells)}</tr>"


def row_head(label: str, remark: str = "") -> str:
    """The heading of a row; `remark` is HTML that goes below it."""
    below = f"<small>{remark}</small>" if remark else ""
    return f'<th scope="row">{escape(label)}{below}</th>'


def number_cell(html: str, title: str = "", css: str = "") -> str:
    """A right-aligned cell; `title` is plain text shown on hover."""
    return f'<td class="{f"num {css}".strip()}"{_title(title)}>{html}</td>'


def text_cell(html: str, css: str = "") -> str:
    """A left-aligned cell."""
    return f'<td class="{css}">{html}</td>' if css else f"<td>{html}</td>"


def marked(icon: str, word: str, css: str) -> str:
    """A word with an icon that repeats it, so that colour is never the only sign."""
    return f'<span class="mark {css}"><span aria-hidden="true">{icon}</span> {escape(word)}</span>'


def section(anchor: str, title: str, body: str) -> str:
    """A titled section of the page."""
    heading = f'<h2 id="{anchor}">{escape(title)}</h2>'
    return f'<section aria-labelledby="{anchor}">{heading}{body}</section>'


def folded(summary: str, body: str) -> str:
    """Something that opens on demand."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def masthead(title: str, body: str, facts: Iterable[tuple[str, str]]) -> str:
    """The head of a page: its title and the theme button, what is said below (HTML), and named facts."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>" for name, said in facts)
    return (
        '<header><div class="masthead">'
        f"<h1>{escape(title)}</h1>"
        '<button type="button" id="theme" aria-pressed="false" hidden>Dark theme</button></div>'
        f'{body}<dl class="facts">{items}</dl></header>'
    )


def _title(title: str) -> str:
    return f' title="{escape(title)}"' if title else ""
