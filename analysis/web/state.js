// What the page shows and what its reader chose: the only thing that changes.
const state = {
  document: null,
  sweeps: [], // of the document, each with its rows `cells` and `configurations`
  cells: [], // of all sweeps; a cell's place here is its id, and marks name cells by id
  measure: "smaller_margin",
  hidden: new Set(), // filters that are off: "objective:SIM", "principle:Cosine", "lam:0.2"
  selected: new Set(), // ids
  front: 0, // the sweep whose claims, Figure 4 and curves are shown
  curve: "valid_rec",
  runs: true, // drawn behind the means
  everySeed: false, // in the table
  difference: false, // from the first sweep, in the grids of the others
  sort: ["smaller_margin", -1],
  lost: "", // why there is no news of the server's
};

const ALL_ROWS = 200; // more rows of a table wait for a press
const MANY = 1500; // more marks than that are painted on a canvas, or left out
const MANY_FILTERS = 12; // of one kind: more are not offered
const REACH = 24; // pixels from a mark that a finger may miss it by

// name: [label, decimals, "signed" | "high" | "low": zero in the middle, or which end is the better]
const MEASURES = {}; // of the document's tasks
function measuresOf(tasks) {
  const each = (name, label, kind) => tasks.map((task) => [name(task), [label(task), 2, kind]]);
  return Object.fromEntries([
    ["smaller_margin", [tasks.length > 2 ? "smallest margin" : "smaller margin", 2, "signed"]],
    ...each((task) => `delta_${task}`, (task) => `Δ ${task}`, "signed"),
    ["mean_overall", ["overall accuracy", 2, "high"]],
    ...each((task) => `${task}_overall`, (task) => task, "high"),
    ...tasks.flatMap((task) => [["private", "z_p"], ["shared", "z_s"]].map(([name, space]) => [`${task}_${name}`, [`${task} from ${space}`, 2, "high"]])),
    ["mse", ["MSE", 3, "low"]],
  ]);
}
const CURVES = { valid_rec: "validation L_rec", valid_dis: "validation L_dis", valid_total: "validation loss", train_total: "training loss" };
const COLOURS = { SIM: "var(--SIM)", SEP: "var(--SEP)", "SIM+SEP": "var(--BOTH)" };
const SYMBOLS = ["circle", "square", "triangle", "diamond", "wye", "hexagon", "cross"];
const FILTERS = { objective: "Objective", principle: "Principle", lam: "λ" };

// A document's columns as rows.
function rowsOf(columns) {
  const names = Object.keys(columns);
  return columns[names[0]].map((_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
}

function load(newer) {
  state.document = newer;
  state.cells = [];
  state.sweeps = newer.sweeps.map((sweep, place) => {
    const first = state.cells.length;
    const configurations = rowsOf(sweep.configurations).map((row, i) => ({ ...row, sweep: place, key: `${place}/${i}`, ids: [] }));
    const cells = rowsOf(sweep.cells).map((row, i) => {
      const configuration = configurations[row.configuration];
      configuration.ids.push(first + i);
      return { ...row, sweep: place, id: first + i, ids: [first + i], key: configuration.key, configuration };
    });
    state.cells.push(...cells);
    return { ...sweep, first, cells, configurations };
  });
  for (const name of Object.keys(MEASURES)) delete MEASURES[name];
  Object.assign(MEASURES, measuresOf(tasks()));
}

const tasks = () => [...new Set(state.sweeps.flatMap((sweep) => Object.keys(sweep.tasks)))];
const margins = () => tasks().map((task) => `delta_${task}`);
const overalls = () => tasks().map((task) => `${task}_overall`);
const several = () => state.sweeps.length > 1;
const front = () => state.sweeps[state.front];
const isShown = (row) => Object.keys(FILTERS).every((name) => row[name] == null || !state.hidden.has(`${name}:${row[name]}`));
// Configurations with a finished seed, of every sweep, in the paper's order.
const points = () => state.sweeps.flatMap((sweep) => sweep.configurations)
  .filter((row) => row.kind === "multiview" && row.seeds > 0 && isShown(row));
// Finished runs behind those means, each once: at λ = 1 several cells show the same run.
function runsBehind() {
  const means = new Set(points().filter((row) => row.seeds > 1).map((row) => row.key));
  const cells = state.cells.filter((cell) => state.runs && cell.state === "finished" && means.has(cell.key));
  return [...new Map(cells.map((cell) => [`${cell.key} ${cell.run}`, cell])).values()];
}
const distinct = (rows, name) => [...new Set(rows.map((row) => row[name]).filter((value) => value != null))];
const nameOf = (row) => (row.name ?? row.label) + (several() ? ` · ${state.sweeps[row.sweep].name}` : "");
const colourOf = (row) => (row.lam === 1 ? "var(--ink)" : COLOURS[row.objective] ?? "var(--soft)");
const placeOf = (principle) => distinct(state.sweeps.flatMap((sweep) => sweep.configurations), "principle").indexOf(principle);
const symbolOf = (row) => (row.lam === 1 ? "star" : SYMBOLS[placeOf(row.principle) % SYMBOLS.length] ?? "circle");

// The address restores a view, also of a file on disk.
function toHash() {
  const { measure: m, curve: c, front: f, difference: d, runs: r, everySeed: e } = state;
  const parts = { m: m !== "smaller_margin" && m, c: c !== "valid_rec" && c, f, d: d && 1, r: !r && 1, e: e && 1, h: [...state.hidden].join("~"), s: spans([...state.selected]) };
  const text = new URLSearchParams(Object.entries(parts).filter(([, value]) => value)).toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function fromHash() {
  const got = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  state.measure = Object.hasOwn(MEASURES, got.m) ? got.m : "smaller_margin";
  state.curve = Object.hasOwn(CURVES, got.c) ? got.c : "valid_rec";
  state.front = state.sweeps[got.f] ? Number(got.f) : 0;
  state.difference = several() && got.d === "1";
  state.runs = got.r !== "1";
  state.everySeed = got.e === "1";
  state.hidden = new Set(got.h ? got.h.split("~") : []);
  state.selected = new Set(unspanned(got.s ?? "").filter((id) => state.cells[id]));
  draw();
}

// [1, 2, 3, 7] as "1-3.7", and back.
function spans(ids) {
  const all = ids.toSorted((a, b) => a - b), ends = all.filter((id, i) => all[i + 1] !== id + 1);
  return all.filter((id, i) => all[i - 1] !== id - 1).map((id, i) => (id === ends[i] ? id : `${id}-${ends[i]}`)).join(".");
}

function unspanned(text) {
  return text.split(".").filter(Boolean).flatMap((part) => {
    const [from, to] = part.split("-").map(Number);
    const last = Math.min(to ?? from, state.cells.length - 1); // a hand may have written the address
    return Number.isInteger(from) && Number.isInteger(last) ? d3.range(from, last + 1) : [];
  });
}
