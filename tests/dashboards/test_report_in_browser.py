"""The page in headless Chromium: it draws, follows the theme, fits the window and contacts nobody."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.report import render_report
from dashboards.report_data import Losslessness, ReportData

pytestmark = pytest.mark.browser

DRAWN = """() => [...document.querySelectorAll(".plot")].map((plot) =>
  plot.querySelectorAll("svg .scatterlayer .points path, svg .scatterlayer .lines path").length)"""
GROUND = "() => getComputedStyle(document.body).backgroundColor"
TICK = "() => getComputedStyle(document.querySelector('.plot .xtick text')).fill"
EMPTY = """() => [...document.querySelectorAll(".plot")]
  .filter((plot) => !plot.querySelector("svg .scatterlayer .points path, svg .scatterlayer .lines path"))
  .map((plot) => [plot.id, plot.textContent.match(/nothing measured/)?.[0]])"""
BARS = """() => [...document.querySelectorAll("#capacity-probes-0 .errorbars")]
  .filter((bars) => bars.querySelector("path")).map((bars) => getComputedStyle(bars.querySelector("path")).stroke)"""
BAR_COLOURS = """() => document.getElementById("capacity-probes-0").data.filter((trace) => trace.error_y)
  .map((trace) => { const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = trace.line.color; return getComputedStyle(probe).color; })"""
LOSSLESS = Losslessness(
    "ngram", "bfloat16", "lossy", 120, 31, 60, 29, 0.99, "29 differences that rounding does not explain"
)
CONTRASTS = """() => {
  const light = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const lum = (text) => { const [r, g, b] = text.match(/[0-9.]+/g).map(Number);
    return 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b); };
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (!c.startsWith("rgba(0, 0, 0, 0")) return c; }
    return getComputedStyle(document.body).backgroundColor; };
  const low = [];
  for (const e of document.querySelectorAll("main *")) {
    if (e.closest("svg") || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [lum(getComputedStyle(e).color), lum(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${e.tagName}.${e.className}: ${e.textContent.slice(0, 30)}`);
  }
  return low;
}"""


class Opened:
    """An open page and everything it complained about or asked for."""

    def __init__(self, browser: Any, file: Path, scheme: str, width: int) -> None:
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a report in a theme and at a width; closes it afterwards."""
    pages = []

    def open_report(data: ReportData, scheme: str = "light", width: int = 1400) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(render_report(data), encoding="utf-8")
        pages.append(Opened(chromium, file, scheme, width))
        return pages[-1]

    yield open_report
    for each in pages:
        each.page.close()


@pytest.mark.parametrize("width", [380, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_draws_fits_and_contacts_nobody(report: Any, opened: Any, scheme: str, width: int) -> None:
    """The promises of the page, in both themes and at both widths."""
    view = opened(report(arms=3, workloads=2, levels=3), scheme, width)
    drawn = view.page.evaluate(DRAWN)
    assert len(drawn) == 2 + 2 + 8 + 2
    assert all(drawn)
    assert view.page.evaluate("document.documentElement.scrollWidth") <= width
    assert view.troubles == []
    assert len(view.requests) == 1
    assert view.requests[0].startswith("file://")


@pytest.mark.parametrize("width", [380, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_capacity_page_keeps_the_same_promises(
    capacity_report: Any, opened: Any, scheme: str, width: int
) -> None:
    """Searches bring a figure and wide tables of their own, also when the probes are unfolded."""
    view = opened(capacity_report(losslessness=[LOSSLESS]), scheme, width)
    for summary in view.page.locator("summary").all():
        summary.click()
    # ngram has no capacity on code-edit, and nothing else drafts there.
    assert view.page.evaluate(EMPTY) == [["acceptance-1", "nothing measured"]]
    assert view.page.evaluate("document.documentElement.scrollWidth") <= width
    assert view.page.evaluate(CONTRASTS) == []
    assert view.troubles == []
    assert len(view.requests) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_interval_bars_have_the_colour_of_their_arm(capacity_report: Any, opened: Any, scheme: str) -> None:
    """Bars in one colour could be anybody's."""
    view = opened(capacity_report(), scheme)
    bars = view.page.evaluate(BARS)
    assert bars == view.page.evaluate(BAR_COLOURS)
    assert len(set(bars)) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(report: Any, rate_report: Any, opened: Any, scheme: str) -> None:
    """Contrast of all text is at least 4.5 to 1."""
    for data in (report(repeats=4), rate_report):
        view = opened(data, scheme)
        view.page.locator("summary").click()
        assert view.page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_button_flips_page_and_figures_from_the_keyboard(report: Any, opened: Any, scheme: str) -> None:
    """One key changes page and figures, the next changes them back."""
    view = opened(report(), scheme)
    button = view.page.locator("#theme")
    before = (view.page.evaluate(GROUND), view.page.evaluate(TICK), button.get_attribute("aria-pressed"))
    button.focus()
    view.page.keyboard.press("Enter")
    after = (view.page.evaluate(GROUND), view.page.evaluate(TICK), button.get_attribute("aria-pressed"))
    assert all(old != new for old, new in zip(before, after, strict=True))
    view.page.keyboard.press("Enter")
    assert view.page.evaluate(GROUND) == before[0]
    assert view.troubles == []


def test_choosing_a_load_redraws_the_distributions(report: Any, opened: Any) -> None:
    """The choice shows other samples, all panels still drawn."""
    view = opened(report(levels=3))
    read = "() => document.getElementById('latency-0-ttft').data[0].x.join()"
    before = view.page.evaluate(read)
    view.page.locator("#load").select_option(index=0)
    assert view.page.evaluate(read) != before
    assert all(view.page.evaluate(DRAWN))
    assert view.troubles == []


def test_hostile_names_run_nothing(report: Any, opened: Any) -> None:
    """Hostile text reaches the title as text."""
    evil = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"
    view = opened(report(arms=1, title=evil, notes=[evil], provenance=[(evil, evil)]))
    assert view.page.title() == evil
    assert len(view.requests) == 1
    assert view.troubles == []
