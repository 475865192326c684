// Every configuration as a line over its measures, and the losses by epoch.
const axesOf = () => ["principle", "objective", "lam", "mse", ...margins(), ...overalls(), "smaller_margin"];
const SHORT = { delta_instrument: "Δ instr.", instrument_overall: "instr.", smaller_margin: "smaller Δ", mean_overall: "overall" };
const axesNarrow = () => ["lam", "mse", ...margins(), "mean_overall"];

function parallel(place) {
  const rows = points().filter((row) => row.lam < 1), title = "Every configuration";
  if (!rows.length) return waits(place, title);
  const axes = isNarrow(place) ? axesNarrow() : axesOf(), isName = (axis) => ["principle", "objective"].includes(axis);
  const scales = Object.fromEntries(axes.map((axis) => [axis, isName(axis)
    ? d3.scalePoint(distinct(rows, axis).toReversed(), [0.08, 0.92]) : d3.scaleLinear(d3.extent(rows, (row) => row[axis]), [0, 1])]));
  const parts = rows.flatMap((row) => axes.map((axis) => ({ axis, row, ids: row.ids, key: row.key, at: row[axis] == null ? NaN : scales[axis](row[axis]) })));
  const ticks = axes.flatMap((axis) => (isName(axis) ? scales[axis].domain() : scales[axis].ticks(4))
    .map((tick) => ({ axis, at: scales[axis](tick), text: String(tick).replace("-", "−") })));
  const heads = { principle: "principle", objective: "objective", lam: "λ", ...(room(place) < 900 && SHORT) };
  const svg = plotOf(place, 300, `${title}: parallel coordinates`, {
    x: { domain: axes, label: null, axis: "top", tickSize: 0, padding: 0.3, tickFormat: (axis) => heads[axis] ?? MEASURES[axis][0] },
    y: { axis: null, domain: [0, 1] }, marginLeft: 30, marginRight: 50, marginTop: 30,
    marks: [
      Plot.line(rows.length > MANY ? [] : parts, { x: "axis", y: "at", z: (part) => part.row.key, stroke: (part) => colourOf(part.row), strokeOpacity: 0.65, strokeWidth: 1.5, className: "lines" }),
      Plot.ruleX(axes, { stroke: "var(--soft)" }),
      Plot.text(ticks, { x: "axis", y: "at", text: "text", dx: 5, textAnchor: "start", fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 4 })],
  });
  const [holder] = show(place, title, "One line a configuration (λ = 1 left out). Drag along an axis to select.", svg);
  const [x, y] = [svg.scale("x"), svg.scale("y")];
  walkable(svg, [attachLines(svg, parts, (part) => nameOf(part.row))]);
  if (rows.length > MANY)
    svg.layers = [{ rows, alpha: 0.3, line: (row) => axes.filter((axis) => row[axis] != null).map((axis) => [x.apply(axis), y.apply(scales[axis](row[axis]))]) }];
  brush(holder, svg, ([x0, y0], [x1, y1]) => {
    const axis = axes[d3.leastIndex(axes, (name) => Math.abs(x.apply(name) - (x0 + x1) / 2))];
    return parts.filter((part) => part.axis === axis && y.apply(part.at) >= y0 && y.apply(part.at) <= y1).flatMap((part) => part.ids);
  });
}

// Plot's lines carry the places of all their points; the first one says whose they are.
function attachLines(svg, parts, told, name = "lines") {
  return $$(`.${name} path`, svg).filter((node) => Array.isArray(node.__data__)).map((node) => {
    const part = parts[node.__data__[0]];
    return mark(node, { ids: part.ids, key: part.key, name: told(part) });
  });
}

function curves(place) {
  const sweep = front(), name = state.curve, title = `Learning curves · ${CURVES[name]}${several() ? ` · ${sweep.name}` : ""}`;
  const facets = distinct(sweep.configurations, "principle");
  const of = (curve, more) => {
    const row = sweep.configurations[curve.configuration];
    if (!curve[name] || row.kind !== "multiview" || !isShown(row)) return [];
    return (row.principle ? [row.principle] : facets).flatMap((facet) => rowsOf(Object.fromEntries(
      Object.entries(curve).filter(([, value]) => Array.isArray(value)))).map((epoch) => ({ ...epoch, row, facet, ids: row.ids, key: row.key, ...more })));
  };
  const means = sweep.curves.means.flatMap((curve) => of(curve, { line: curve.configuration }));
  const running = new Set(sweep.cells.filter((cell) => cell.state === "running").map((cell) => cell.run));
  const runs = (sweep.curves.runs ?? []).filter((curve) => state.runs || running.has(curve.run)).flatMap((curve) => of(curve, { line: curve.run, live: running.has(curve.run) }));
  const pick = el("p", { class: "note" }, choice("Loss", "curve", CURVES, "curves"), ` Means of finished runs${sweep.curves.runs ? "; other runs thin behind them, those in training thick" : "; too many runs to draw each"}; black: λ = 1. Select to see intervals.`);
  if (!means.length && !runs.length) return place.replaceChildren(el("h2", {}, title), pick, el("p", { class: "note" }, "No epoch with this loss yet."));
  const facet = isNarrow(place) ? "fy" : "fx", line = { [facet]: "facet", x: "epoch", y: name, z: "line" };
  const values = [...means, ...runs].map((part) => part[name]).filter((value) => value != null);
  const svg = plotOf(place, facet === "fy" ? 560 : 260, title, {
    x: { label: "epoch →", labelArrow: "none", ticks: 5, tickFormat: "d" }, marginTop: 30,
    y: { label: null, type: d3.min(values) > 0 ? "log" : "linear", grid: true, ticks: 4, tickFormat: "~g" },
    [facet]: { label: null, domain: facets, axis: null, padding: facet === "fy" ? 0.12 : 0.06 },
    marks: [
      Plot.areaY(means.filter((part) => part[`${name}_low`] != null), { ...line, y: undefined, y1: `${name}_low`, y2: `${name}_high`, fill: (part) => colourOf(part.row), className: "bands" }),
      Plot.line(runs, { ...line, stroke: (part) => colourOf(part.row), strokeWidth: (part) => (part.live ? 1.6 : 0.6), strokeOpacity: (part) => (part.live ? 0.9 : 0.35), className: "runs" }),
      Plot.line(means, { ...line, stroke: (part) => colourOf(part.row), strokeWidth: 1.5, strokeOpacity: 0.85, className: "lines" }),
      Plot.text(facets, { [facet]: (text) => text, text: (text) => text, frameAnchor: "top-left", dy: -14, fontWeight: 600 })],
  });
  show(place, title, "", svg);
  $(".note", place).replaceWith(pick);
  attachLines(svg, runs, (part) => nameOf(part.row), "runs");
  attachLines(svg, means.filter((part) => part[`${name}_low`] != null), (part) => nameOf(part.row), "bands");
  walkable(svg, [attachLines(svg, means, (part) => nameOf(part.row))]);
}
