// The grid as a heat map: what the sweep is, and what the keyboard walks.
const GLYPHS = { pending: "·", running: "◐", failed: "✕", diverged: "✕", blocked: "✕", unknown: "?", interrupted: "‖", unconfirmed: "‖", "out-of-memory": "‖", infrastructure: "‖" };

function drawGrid(place) {
  const shown = Object.fromEntries(Object.entries(MEASURES).map(([name, [label]]) => [name, label]));
  place.replaceChildren(
    el("h2", {}, `Grid · ${MEASURES[state.measure][0]}`),
    el("div", { class: "keys" }, choice("Colour", "measure", shown, "grid"),
      several() ? toggle(`difference from ${state.sweeps[0].name}`, "difference", "grid") : null),
    ...state.sweeps.map(gridOf));
}

function gridOf(sweep, place) {
  const cells = sweep.cells.filter((cell) => cell.kind === "multiview");
  const lams = distinct(cells, "lam").sort(d3.ascending), value = valueOf(sweep, place), scale = scaleOf(cells, value);
  const pick = (rows) => () => choose(rows.map((cell) => cell.id), false);
  const heads = lams.map((lam) => el("th", { scope: "col" },
    el("button", { onclick: pick(cells.filter((cell) => cell.lam === lam)), "aria-label": `select λ ${lam}` }, String(lam))));
  const marks = [];
  const lines = distinct(sweep.configurations, "principle").flatMap((principle) => {
    const rows = d3.groups(cells.filter((cell) => cell.principle === principle), (cell) => cell.objective)
      .toSorted(([a], [b]) => d3.ascending(Object.keys(COLOURS).indexOf(a), Object.keys(COLOURS).indexOf(b)));
    return rows.map(([objective, row], i) => {
      const boxes = lams.map((lam) => gridCell(row.filter((cell) => cell.lam === lam), value, scale));
      marks.push(boxes.filter((box) => box.ids));
      return el("tr", {},
        i ? null : el("th", { scope: "rowgroup", rowspan: rows.length, class: "principle" },
          el("button", { onclick: pick(rows.flatMap(([, all]) => all)), "aria-label": `select ${principle}` }, principle)),
        el("th", { scope: "row" }, el("button", { onclick: pick(row), "aria-label": `select ${principle} ${objective}` }, objective)), boxes);
    });
  });
  const label = `${sweep.name}: ${MEASURES[state.measure][0]}`;
  const table = el("table", { class: `grid${lams.length > 12 ? " many" : ""}`, role: "grid", "aria-label": label, "aria-multiselectable": "true" },
    el("thead", {}, el("tr", {}, el("th", { colspan: 2, class: "corner" }, "λ"), heads)), el("tbody", {}, lines));
  walkable(table, marks);
  return el("div", { class: "sweep" }, several() ? el("h3", {}, sweep.name) : null, el("div", { class: "scroll" }, table), legendOf(scale), baselines(sweep));
}

// What a configuration shows: the measure, or its paired difference from the first sweep.
function valueOf(sweep, place) {
  if (!state.difference || place === 0) return (row) => row;
  const pair = state.document.pairs.find((other) => other.b === place), rows = rowsOf(pair.differences);
  const of = new Map(rows.map((row) => [sweep.configurations[row.in_b].key, row]));
  return (row) => of.get(row.key) ?? {};
}

function scaleOf(cells, value) {
  const [, digits, kind] = MEASURES[state.measure];
  const values = cells.map((cell) => value(cell.configuration)[state.measure]).filter((one) => one != null);
  const signed = kind === "signed" || state.difference, [least, most] = d3.extent(values), top = d3.max(values, Math.abs) || 1;
  const share = signed ? (one) => one / top : (one) => ((one - least) / (most - least || 1)) * (kind === "low" ? -1 : 1);
  return { share, digits, ends: values.length ? (signed ? [-top, 0, top] : [least, most]) : [], kind: signed ? "signed" : kind };
}

function gridCell(cells, value, scale) {
  if (!cells.length) return el("td", {});
  const row = cells[0].configuration, shown = value(row), one = shown[state.measure], states = distinct(cells, "state");
  const unfinished = states.find((name) => name !== "finished"), done = cells.filter((cell) => cell.state === "finished").length;
  const share = one == null ? 0 : scale.share(one);
  const work = Math.round(100 * d3.mean(cells, (cell) => (cell.state === "finished" ? 1 : cell.share ?? 0))), part = unfinished === "running" && work ? ` ${work}%` : "";
  const text = one == null ? part || (GLYPHS[unfinished] ?? "–") : number(one, scale.digits);
  const box = el("td", {
    role: "gridcell", class: `${one == null ? "empty" : share < 0 ? "down" : "up"}${row.chosen ? " chosen" : ""}`,
    "data-state": one == null && unfinished, "--share": `${Math.round(Math.abs(share) * 100)}%`, "--work": `${work}%`,
  }, text, one != null && done < cells.length ? el("small", {}, `${done}/${cells.length}`) : null);
  const where = `${cells[0].principle} ${cells[0].objective} λ ${cells[0].lam}`;
  const told = one == null ? (unfinished ?? "no such measure") + part : withInterval(shown, state.measure);
  return mark(box, { ids: cells.map((cell) => cell.id), key: row.key,
    name: `${where}, ${MEASURES[state.measure][0]} ${told}, ${done} of ${counted(cells.length, "seed")}${row.chosen ? ", in Table 1" : ""}` });
}

function legendOf({ ends, digits, kind }) {
  return el("div", { class: `legend ${kind}`, "aria-hidden": "true" }, el("i", {}), el("div", {}, ends.map((end) => el("span", {}, number(end, digits)))));
}

function baselines(sweep) {
  const rows = sweep.configurations.filter((row) => row.kind !== "multiview");
  const list = el("div", { class: "baselines" }, rows.map((row) => {
    const accuracies = Object.keys(sweep.tasks).map((task) => `${task} ${number(row[`${task}_overall`])}`).join(", ");
    return mark(el("span", { role: "button" }, el("b", {}, row.kind), ` ${accuracies}`), { ids: row.ids, key: row.key, name: `${row.kind}: ${accuracies}` });
  }));
  walkable(list, [[...list.children]]);
  return list;
}
