// What is read: the selection's numbers, the claims, the table, where it all came from.
const numbersOf = () => [...margins(), "mean_overall", "mse"];

function drawTray(place) {
  const cells = [...state.selected].map((id) => state.cells[id]).filter(Boolean);
  if (!cells.length) return place.replaceChildren(el("p", { class: "note noprint" }, "Nothing selected. Press cells, points, rows or claims, or drag in a figure; Shift adds."));
  const runs = [...new Map(cells.map((cell) => [`${cell.sweep} ${cell.run}`, cell])).values()].filter((cell) => cell.state === "finished");
  const rows = [...new Set(cells.map((cell) => cell.configuration))], alone = rows.length === 1 && rows[0].seeds > 0 ? rows[0] : null;
  const value = (name) => (alone ? withInterval(alone, name) : number(d3.mean(runs, (run) => run[name]), MEASURES[name][1]));
  const both = runs.filter((run) => run.smaller_margin > 0).length;
  const copy = (text) => el("button", { class: "chip", onclick: () => navigator.clipboard?.writeText(text) }, "copy");
  const code = (title, text, note) => (text ? el("details", { class: "noprint" }, el("summary", {}, title), note ? el("p", { class: "note" }, note) : null, el("code", {}, text), copy(text)) : null);
  const launches = state.sweeps.filter((_, nth) => cells.some((cell) => cell.sweep === nth)).map((sweep) => sweep.launch).filter(Boolean);
  place.replaceChildren(
    el("b", {}, alone ? nameOf(alone) : counted(rows.length, "configuration")),
    el("p", { class: "note" }, `${counted(cells.length, "cell")}, ${counted(runs.length, "finished run")}, ${tasks().length > 2 ? "all" : "both"} margins positive in ${both}. ${alone ? `Interval: ${state.document.interval}.` : "Means over those runs:"}`),
    el("dl", { class: "numbers" }, numbersOf().map((name) => el("div", { "data-number": name }, el("dd", {}, value(name)), el("dt", {}, MEASURES[name][0])))),
    ...troublesOf(cells),
    code("SQL", sqlOf(cells)), code("More seeds", launches.join("\n"), "Finished runs are not trained again; every cell of the sweep gets the new seeds."),
    el("button", { class: "chip noprint", onclick: () => choose([], false) }, "clear (Esc)"));
}

function troublesOf(cells) {
  const ended = new Set(cells.filter((cell) => cell.state !== "finished").map((cell) => cell.run));
  const all = d3.groups(state.sweeps.flatMap((sweep) => sweep.troubles).filter((trouble) => ended.has(trouble.run)), (trouble) => `${trouble.state}: ${trouble.cause}`);
  return all.map(([text, group]) => el("details", { class: "trouble" }, el("summary", {}, `${group.length} ${text}`), el("code", {}, group[0].traceback || "no traceback")));
}

// A query for just these cells.
function sqlOf(cells) {
  const quoted = (text) => `'${String(text).replaceAll("'", "''")}'`;
  return d3.groups(cells, (cell) => cell.sweep).map(([place, all]) => {
    const labels = all.map((cell) => quoted(cell.label)).join(",\n  ");
    if (!hasPapersTasks(state.sweeps[place])) return `SELECT label, seed, task, subspace, accuracy FROM cells JOIN accuracies USING (run_id)\nWHERE part = 'test' AND sweep_id = (SELECT id FROM sweeps WHERE name = ${quoted(state.sweeps[place].sweep)}) AND label IN (\n  ${labels});`;
    return `SELECT label, seed, delta_pitch, delta_instrument, mse FROM results\nWHERE sweep = ${quoted(state.sweeps[place].sweep)} AND label IN (\n  ${labels});`;
  }).join("\n");
}

// Of others the view `results` has no margins.
const hasPapersTasks = ({ tasks: asked }) => Object.keys(asked).length === 2 && asked.pitch === "private" && asked.instrument === "shared";

const VERDICTS = { supported: "✓", contradicted: "✕", undecided: "?" };

function drawClaims(place) {
  const sweep = front(), count = (verdict) => sweep.claims.filter((claim) => claim.verdict === verdict).length;
  const told = Object.keys(VERDICTS).filter(count).map((verdict) => `${VERDICTS[verdict]} ${count(verdict)} ${verdict}`).join(", ");
  const settled = sweep.claims.filter((claim) => claim.verdict !== "undecided"), daggers = settled.filter((claim) => claim.holm).length;
  const means = `Settled: the whole 95 % interval on one side of the claim's bound (of k parts all inside, or one outside at 1 − 5 %/k); † beside all the other claims too (${daggers} of ${settled.length}). Press one to see the cells that it rests on.`;
  place.replaceChildren(
    el("h2", {}, `The paper's claims${several() ? ` · ${sweep.name}` : ""}`),
    el("p", { class: "note" }, told ? `${told}. ${means}` : sweep.cells.some((cell) => cell.state === "finished") ? "They are about the paper's own pairs and tasks; this study asks otherwise." : "No cell is finished yet."),
    el("ul", {}, sweep.claims.map((claim) => el("li", { class: claim.verdict },
      el("button", { onclick: () => choose(claim.cells.map((cell) => sweep.first + cell), false) },
        el("i", { role: "img", "aria-label": `${claim.verdict}: ` }, VERDICTS[claim.verdict]),
        el("span", {}, claim.claim, claim.holm ? "\u00a0†" : null,
          el("small", {}, `§${claim.section} · paper: ${claim.paper} · here: ${claim.ours}${claim.needs ? ` · needs ${claim.needs}` : ""}`),
          el("small", {}, `true where ${claim.rule}`)))))));
}

const columnsOf = () => ["smaller_margin", ...margins(), ...overalls(), "mse"];

function drawTable(place) {
  const [by, way] = state.sort, all = state.sweeps.flatMap((sweep) => (state.everySeed ? sweep.cells : sweep.configurations)).filter(isShown);
  const rows = all.toSorted((a, b) => (by === "name" ? way * d3.ascending(nameOf(a), nameOf(b)) : (a[by] == null) - (b[by] == null) || way * (a[by] - b[by])));
  const most = state.allRows ? Infinity : ALL_ROWS;
  const sort = (name) => chosen("sort", [name, name === by ? -way : name === "name" || MEASURES[name]?.[2] === "low" ? 1 : -1], "table");
  const head = (name, text) => el("th", { scope: "col", "aria-sort": name === by ? (way > 0 ? "ascending" : "descending") : "none" },
    el("button", { onclick: () => sort(name), "data-sort": name }, text, name === by ? (way > 0 ? " ↑" : " ↓") : ""));
  const last = state.everySeed ? ["best_epoch", "best epoch"] : ["seeds", "seeds"];
  const cell = (row, name) => {
    const [low, high] = [row[`${name}_low`], row[`${name}_high`]], [, digits] = MEASURES[name];
    return el("td", {}, number(row[name], digits), low == null ? null : el("small", {}, `${number(low, digits)} … ${number(high, digits)}`));
  };
  const lines = rows.slice(0, most).map((row) => mark(
    el("tr", {}, el("th", { scope: "row" }, nameOf(row), (row.state ?? "finished") === "finished" ? null : ` (${row.state})`), columnsOf().map((name) => cell(row, name)), el("td", {}, row[last[0]] ?? "–")),
    { ids: row.ids, key: row.key, name: nameOf(row) }));
  const table = el("table", {}, el("thead", {}, el("tr", {}, head("name", state.everySeed ? "cell" : "configuration"), columnsOf().map((name) => head(name, MEASURES[name][0])), head(...last))), el("tbody", {}, lines));
  walkable(table, lines.map((line) => [line]));
  place.replaceChildren(el("h2", {}, `Table · ${counted(rows.length, state.everySeed ? "cell" : "configuration")}`),
    el("div", { class: "keys" }, toggle("every seed", "everySeed", "table"), rows.length <= most ? null : el("button", { class: "chip", onclick: () => chosen("allRows", true, "table") }, `the first ${most}; show all`)),
    el("div", { class: "list" }, table));
}

function drawProvenance(place) {
  const item = (name, text) => (text ? [el("dt", {}, name), el("dd", {}, text)] : []);
  // A sweep's places on further axes were launched and trained as one.
  place.replaceChildren(el("h2", {}, "Provenance"), ...d3.groups(state.sweeps, (sweep) => sweep.sweep).flatMap(([title, places]) => {
    const { digest, made, options: { grid_file: grid, plugins, ...options } } = places[0], versions = made.versions.map((one) => Object.entries(one).map(([name, version]) => `${name} ${version}`).join(", "));
    const list = Object.entries(options).filter(([, value]) => value != null && Object.keys(Object(value)).length + (typeof value !== "object")).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`);
    const unfinished = d3.groups(places.flatMap((one) => Object.entries(one.unfinished)), ([how]) => how);
    const sources = Object.entries({ ...(grid ? { [options.grid]: grid } : {}), ...plugins });
    return [el("dl", {}, item("sweep", title), item("digest of its rows", digest), item("launched with", list.join(", ")), item("made by", [...new Set(versions)].filter(Boolean).join("; ")),
      item("commit", made.commits.join(", ")), item("on", made.devices.join(", ")), item("training", `${counted(made.attempts, "attempt")}, ${number(made.seconds / 60, 1)} minutes of packs`),
      unfinished.map(([how, all]) => item(how, [...new Set(all.flatMap(([, labels]) => labels))].join("; ")))),
      ...sources.map(([file, text]) => el("details", {}, el("summary", {}, file), el("code", {}, text)))];
  }), el("p", { class: "note" }, `Intervals: ${state.document.interval}. ${state.document.live ? "" : "This page needs no network. "}Arrow keys walk the grid, figures and table; Space selects, Shift adds, Esc clears.`));
}
