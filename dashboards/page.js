// Draws the figures in the colours of the theme that is on, and again when the theme or the load changes.
"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const button = document.getElementById("theme");
  const load = document.getElementById("load");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false };

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function theme() {
    const style = getComputedStyle(root);
    const read = (name) => style.getPropertyValue(name).trim();
    return { read, ink: read("--ink"), soft: read("--soft"), line: read("--line"), ground: read("--ground") };
  }

  function paintTrace(trace, colours) {
    const colour = colours.read(`--arm-${trace.meta.arm}`);
    const marker = trace.marker || {};
    const bars = trace.error_y ? { error_y: { ...trace.error_y, color: colour } } : {};
    return {
      ...trace,
      ...bars,
      line: { ...trace.line, color: colour },
      marker: { ...marker, color: colour, line: { ...marker.line, color: colour } },
    };
  }

  function paintLayout(layout, colours) {
    const axis = (given) => ({ ...given, gridcolor: colours.line, tickfont: { color: colours.soft } });
    const shapes = (layout.shapes || []).map((s) => ({ ...s, line: { ...s.line, color: colours.ink } }));
    return {
      ...layout,
      shapes,
      font: { family: "system-ui, -apple-system, 'Segoe UI', sans-serif", size: 12, color: colours.soft },
      hoverlabel: { bgcolor: colours.ground, bordercolor: colours.soft, font: { color: colours.ink } },
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
    };
  }

  function draw() {
    const colours = theme();
    const chosen = load ? Number(load.value) : 0;
    for (const [id, choices] of Object.entries(figures)) {
      const figure = choices[Math.min(chosen, choices.length - 1)];
      const traces = figure.data.map((trace) => paintTrace(trace, colours));
      Plotly.react(id, traces, paintLayout(figure.layout, colours), config);
    }
    button.setAttribute("aria-pressed", String(isDark()));
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    draw();
  });
  system.addEventListener("change", draw);
  if (load) load.addEventListener("change", draw);
  draw();
})();
