// Figures 2 to 4 of the paper, drawn from the document's means.
const room = (place) => Math.max(300, Math.floor(place.clientWidth));
const isNarrow = (place) => room(place) < 620;

function plotOf(place, height, label, options) {
  const svg = Plot.plot({ className: "plot", width: room(place), height, ariaLabel: label, marginBottom: 40, symbol: { type: "identity" }, ...options });
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", label);
  svg.targets = []; // places of marks, in the drawing's own units: what a brush or a finger finds
  return svg;
}

function show(place, title, note, ...svgs) {
  const holders = svgs.map((svg) => el("div", { class: "holder" }, svg));
  place.replaceChildren(el("h2", {}, title), el("p", { class: "note" }, note), ...holders);
  return holders;
}

// The elements that Plot drew for `rows`, in its order, become marks.
function attach(svg, name, rows, told = nameOf) {
  const nodes = $$(`.${name} :is(path, rect, circle, line)`, svg).filter((node) => Number.isInteger(node.__data__));
  return nodes.map((node) => mark(node, { ids: rows[node.__data__].ids, key: rows[node.__data__].key, name: told(rows[node.__data__]) }));
}

// A scatter of configurations: their intervals and runs behind them, the selected one ringed.
function scatter(svg, rows, x, y) {
  const at = (row) => [svg.scale("x").apply(row[x]), svg.scale("y").apply(row[y])];
  svg.targets = rows.map((row) => ({ at: at(row), row }));
  const nodes = attach(svg, "points", rows);
  attach(svg, "intervals", rows.concat(rows));
  const runs = runsBehind().filter((run) => run[x] != null && run[y] != null);
  const layers = [{ rows: runs, at, radius: 1.6, alpha: 0.4 }];
  if (rows.length > MANY) layers.push({ rows, at, radius: 2.5, alpha: 0.9 });
  else walkable(svg, [nodes.toSorted((a, b) => d3.ascending(a.getBoundingClientRect().x, b.getBoundingClientRect().x))]);
  svg.layers = layers.filter((layer) => layer.rows.length > MANY || layer.rows === rows);
  attach(svg, "runs", runs, nameOf);
}

function scatterMarks(rows, x, y, radius) {
  const runs = runsBehind().filter((run) => run[x] != null && run[y] != null);
  const few = rows.length > MANY ? [] : rows, ends = (name) => ({ [`${name}1`]: `${{ x, y }[name]}_low`, [`${name}2`]: `${{ x, y }[name]}_high` });
  const style = { stroke: colourOf, strokeOpacity: 0.55, className: "intervals" };
  return [
    runs.length > MANY ? null : Plot.dot(runs, { x, y, r: 1.6, fill: colourOf, fillOpacity: 0.4, className: "runs" }),
    Plot.ruleX(few.filter((row) => row[`${y}_low`] != null), { x, ...ends("y"), ...style }),
    Plot.ruleY(few.filter((row) => row[`${x}_low`] != null), { y, ...ends("x"), ...style }),
    Plot.dot(few, { x, y, r: radius, fill: colourOf, symbol: symbolOf, fillOpacity: (row) => (several() && row.sweep === 0 ? 0.4 : 1), stroke: "var(--paper)", strokeWidth: 0.8, sort: null, className: "points" }),
    Plot.dot(few.filter((row) => row.chosen), { x, y, r: 12, stroke: "var(--ink)", strokeWidth: 1.2, className: "ring" }),
  ];
}

function extent(rows, name, zero) {
  const ends = rows.flatMap((row) => [row[name], row[`${name}_low`], row[`${name}_high`]]).filter((value) => value != null);
  const [low, high] = d3.extent(zero ? [...ends, 0] : ends), pad = low === high ? 0.01 : 0;
  return [low - pad, high + pad];
}

// The tasks on x and y: each private one against each shared one; else all pairs.
function pairsOf(sweep) {
  const all = Object.keys(sweep.tasks), of = (subspace) => all.filter((task) => sweep.tasks[task] === subspace);
  const pairs = d3.cross(of("private"), of("shared"));
  return pairs.length ? pairs : all.flatMap((task, i) => all.slice(i + 1).map((other) => [task, other]));
}

function figure3(place) {
  const panels = pairsOf(front()).map((pair) => marginsOf(place, pair)).filter(Boolean);
  if (!panels.length) return waits(place, "Figure 3 · margins");
  const { rows, moves } = panels[0];
  const rings = rows.filter((row) => row.chosen).map((row) => (several() ? `${row.name} of ${state.sweeps[row.sweep].name}` : row.name)).join("; ");
  const holders = show(place, "Figure 3 · margins", `Shaded: both positive. Area: overall accuracy.${rings ? ` Ring${rings.includes(";") ? "s" : ""}: ${rings} (Table 1).` : ""}${
    moves.length ? " Arrows: from the first sweep, which is pale." : ""} Drag to select.`, ...panels.map(({ svg }) => svg));
  panels.forEach((panel, i) => {
    scatter(panel.svg, panel.rows, panel.x, panel.y);
    const told = (move) => `${move.to.name}, ${move.title}: ${[panel.x, panel.y].map((name) => `${MEASURES[name][0]} ${withInterval(move, name)}`).join(", ")}, paired over ${counted(move.seeds, "seed")}`;
    attach(panel.svg, "moves", panel.moves, told);
    brush(holders[i], panel.svg);
  });
}

function marginsOf(place, pair) {
  const [x, y] = pair.map((task) => `delta_${task}`);
  const rows = points().filter((row) => row[x] != null && row[y] != null).toSorted((a, b) => d3.descending(a.mean_overall, b.mean_overall));
  if (!rows.length) return null;
  const domains = { x: extent(rows, x, true), y: extent(rows, y, true) };
  const moves = several() ? movesOf(new Set(rows.map((row) => row.key))) : [];
  const svg = plotOf(place, Math.min(460, room(place)), `Figure 3: margin on ${pair[1]} against margin on ${pair[0]}`, {
    grid: true, r: { range: [3, 9], domain: d3.extent(rows, (row) => row.mean_overall) },
    x: { label: `Δ ${pair[0]} →`, labelArrow: "none", domain: domains.x, nice: true },
    y: { label: `↑ Δ ${pair[1]}`, labelArrow: "none", domain: domains.y, nice: true },
    marks: [
      Plot.rect([0], { x1: 0, y1: 0, x2: Math.max(0, domains.x[1]) * 1.2, y2: Math.max(0, domains.y[1]) * 1.2, fill: "var(--ink)", fillOpacity: 0.05, clip: true }),
      Plot.ruleX([0], { stroke: "var(--soft)" }), Plot.ruleY([0], { stroke: "var(--soft)" }),
      Plot.arrow(moves, { x1: (move) => move.from[x], y1: (move) => move.from[y], x2: (move) => move.to[x], y2: (move) => move.to[y],
        stroke: (move) => colourOf(move.to), strokeOpacity: 0.5, headLength: 6, className: "moves" }),
      ...scatterMarks(rows, x, y, "mean_overall")],
  });
  return { svg, rows, moves, x, y };
}

// The pairs' rows, each with the two configurations that it leads from and to.
function movesOf(keys) {
  return state.document.pairs.flatMap((pair) => rowsOf(pair.differences).map((row) => {
    const [from, to] = [state.sweeps[0].configurations[row.in_a], state.sweeps[pair.b].configurations[row.in_b]];
    const title = `${state.sweeps[pair.b].name} less ${state.sweeps[0].name}`;
    return { ...row, from, to, title, key: to.key, ids: [...from.ids, ...to.ids] };
  })).filter((move) => keys.has(move.from.key) && keys.has(move.to.key));
}

function figure2(place) {
  const rows = points().filter((row) => row.mse != null);
  if (!rows.length) return waits(place, "Figure 2 · accuracy against MSE");
  const [least, most] = d3.extent(rows, (row) => row.mse);
  const named = Object.keys(front().tasks);
  const svgs = named.map((task, i) => {
    const y = `${task}_overall`, lines = linesOf(task, y), rho = front().correlations[task];
    const svg = plotOf(place, Math.min(236, room(place) * 0.64), `Figure 2: ${task} accuracy against reconstruction error`, {
      grid: true, r: { type: "identity" }, marginRight: 92,
      x: { domain: extent(rows, "mse"), type: most > 10 * least ? "log" : "linear", label: i === named.length - 1 ? "reconstruction MSE →" : null, labelArrow: "none", nice: true },
      y: { domain: extent([...rows, ...lines], y), label: `↑ ${task} accuracy   ρ = ${number(rho)}`, labelArrow: "none", nice: true, ticks: 5 },
      marks: [
        ...[["encoder", "1 3"], [`cl-${task}`, "5 3"]].map(([kind, dashes]) => Plot.ruleY(lines.filter((row) => row.kind === kind), { y, stroke: "var(--soft)", strokeDasharray: dashes })),
        Plot.text(apart(lines, y, extent([...rows, ...lines], y)), { y: "place", frameAnchor: "right", dx: 6, textAnchor: "start", text: "text", fill: "var(--soft)" }),
        ...scatterMarks(rows, "mse", y, (row) => 3 + 4 * (1 - row.lam))],
    });
    return [svg, y];
  });
  const holders = show(place, "Figure 2 · accuracy against MSE", `Area: weight of L_dis. λ = 0 has no decoder. ρ: Spearman's, of the points; the claims' is inside a seed. Lines: baselines.${several() ? ` Lines and ρ are of ${front().name}.` : ""}`, ...svgs.map(([svg]) => svg));
  svgs.forEach(([svg, y], i) => {
    scatter(svg, rows, "mse", y);
    brush(holders[i], svg);
  });
}

const linesOf = (task, y) => front().configurations.filter((row) => ["encoder", `cl-${task}`].includes(row.kind) && row[y] != null);

// Names at the right end of the lines, moved apart where they would touch.
function apart(lines, y, [low, high]) {
  const gap = (high - low) * 0.1, rows = lines.toSorted((a, b) => a[y] - b[y]).map((row) => ({ place: row[y], text: `${row.kind.replace("instrument", "instr.")} ${number(row[y])}` }));
  if (rows.length === 2 && rows[1].place - rows[0].place < gap) {
    const middle = (rows[0].place + rows[1].place) / 2;
    [rows[0].place, rows[1].place] = [middle - gap / 2, middle + gap / 2];
  }
  return rows;
}

const SYMBOL = { private: "z_p", shared: "z_s" };
const titleOf = (row) => `${row.panel} · ${row.task}, ${SYMBOL[row.subspace]}`;

function figure4(place) {
  const bars = rowsOf(front().effects).filter((row) => row.delta != null && isShown({ ...row, principle: null }));
  const title = `Figure 4 · what each subspace loses and gains${several() ? ` · ${front().name}` : ""}`;
  if (!bars.length) return waits(place, title);
  const all = bars.map((row) => ({ ...row, title: titleOf(row), x: `${row.objective} ${row.lam}`,
    ids: front().cells.filter((cell) => cell.objective === row.objective && cell.lam === row.lam && (row.principle === "mean" || cell.principle === row.principle)).map((cell) => cell.id) }));
  const means = all.filter((row) => row.principle === "mean"), parts = all.length > MANY ? [] : all.filter((row) => row.principle !== "mean" && isShown(row));
  const groups = d3.groups(means.toSorted((a, b) => d3.descending(a.lam, b.lam)), (row) => row.objective)
    .toSorted(([a], [b]) => Object.keys(COLOURS).indexOf(a) - Object.keys(COLOURS).indexOf(b));
  const domain = groups.flatMap(([objective, rows]) => [...new Set(rows.map((row) => row.x)), `after ${objective}`]).slice(0, -1);
  const panels = d3.groups(all, (row) => row.title).map(([, [row]]) => row), most = d3.max(means, (row) => row.lam);
  const narrow = isNarrow(place), many = !narrow && panels.length > 4; // then a row a task
  const facets = many ? { fx: "subspace", fy: "task" } : { [narrow ? "fy" : "fx"]: "title" };
  const scales = Object.entries(facets).map(([name, of]) => [name, { domain: distinct(all, of), label: null, axis: null, padding: name === "fy" ? 0.16 : 0.05 }]);
  const svg = plotOf(place, many || narrow ? 160 * distinct(all, facets.fy).length : 270, title, {
    x: { domain, axis: null, padding: 0.06 }, y: { label: "↑ Δ accuracy", labelArrow: "none", grid: true, ticks: 5, nice: true },
    ...Object.fromEntries(scales), marginTop: 34, marginRight: 10,
    marks: [
      Plot.barY(means, { ...facets, x: "x", y: "delta", fill: colourOf, fillOpacity: (row) => 1 - 0.75 * (row.lam / (most || 1)), className: "bars" }),
      Plot.ruleX(means.filter((row) => row.delta_low != null), { ...facets, x: "x", y1: "delta_low", y2: "delta_high", stroke: "var(--ink)", strokeWidth: 0.9 }),
      Plot.dot(parts, { ...facets, x: "x", y: "delta", symbol: symbolOf, r: 2.4, stroke: "var(--ink)", fill: "var(--paper)", strokeWidth: 0.8, className: "parts" }),
      Plot.ruleY([0], { stroke: "var(--ink)" }),
      Plot.text(panels, { ...facets, text: "title", frameAnchor: "top-left", dy: -16, fontWeight: 600 })],
  });
  show(place, title, "Relative to reconstruction only, of the same seed. Bars: mean over principles, which are marked on them; from λ near 1 (light) to 0 (full).", svg);
  const told = (row) => `${row.title}: ${row.objective} λ ${row.lam}, ${row.principle === "mean" ? "mean of the principles" : row.principle}: ${number(row.delta)}${row.delta_low == null ? "" : ` (${number(row.delta_low)} to ${number(row.delta_high)})`}`;
  attach(svg, "parts", parts, told);
  walkable(svg, d3.groups(attach(svg, "bars", means, told), (node) => node.parentNode).map(([, nodes]) => nodes));
}

function waits(place, title) {
  place.replaceChildren(el("h2", {}, title), el("p", { class: "note" }, "Nothing finished yet that could be drawn here, or all of it is filtered out."));
}
