// The page: one document in, linked views out. Of each: what draws it, and which parts of a sweep.
const VIEWS = {
  keys: [drawKeys, "configurations"], grid: [drawGrid, "cells", "configurations"],
  figure3: [figure3, "configurations"], figure2: [figure2, "configurations"], figure4: [figure4, "effects"],
  claims: [drawClaims, "claims"], parallel: [parallel, "configurations"], curves: [curves, "curves"],
  table: [drawTable, "cells", "configurations"], provenance: [drawProvenance, "digest", "made", "options", "unfinished"],
};

// Draws all, or what is other than in the document before.
function draw(before = null) {
  if (!before) point(null);
  document.title = [...new Set(state.sweeps.map((sweep) => sweep.sweep))].join(" and ");
  $("h1").textContent = document.title || "sweeper";
  $("#lines").replaceChildren(...state.sweeps.map((sweep) => el("p", {}, sweep.line)));
  drawLive();
  $("main").hidden = !state.sweeps.length;
  for (const [id, [view, ...parts]] of state.sweeps.length ? Object.entries(VIEWS) : []) if (!before?.sweeps.length || shownOf(before, parts) !== shownOf(state.document, parts)) keeping($(`#${id}`), view);
  paint();
}

function redraw(id) {
  keeping($(`#${id}`), VIEWS[id][0]);
  paint();
}

// Filters, which are the legend too.
function drawKeys(place) {
  const all = state.sweeps.flatMap((sweep) => sweep.configurations).filter((row) => row.kind === "multiview");
  const chip = (name, value) => {
    const key = `${name}:${value}`, press = () => {
      if (!state.hidden.delete(key)) state.hidden.add(key);
      toHash();
      draw();
    };
    return el("button", { class: `chip ${name}`, "aria-pressed": String(!state.hidden.has(key)), onclick: press, "data-filter": key, "aria-label": `${FILTERS[name]} ${value}` }, name === "lam" ? null : symbol(name, value), String(value));
  };
  const filters = Object.entries(FILTERS).flatMap(([name, title]) => {
    const values = distinct(all, name);
    if (name !== "principle") values.sort((a, b) => (name === "lam" ? a - b : Object.keys(COLOURS).indexOf(a) - Object.keys(COLOURS).indexOf(b)));
    if (values.length > MANY_FILTERS) return [];
    return [el("span", { class: `title ${name}` }, title), ...values.map((value) => chip(name, value))];
  });
  const names = Object.fromEntries(state.sweeps.map((sweep, nth) => [nth, sweep.name]));
  place.replaceChildren(...filters, toggle("single runs", "runs"), several() ? choice("Claims and curves of", "front", names) : "");
}

function symbol(name, value) {
  const shapes = { circle: d3.symbolCircle, square: d3.symbolSquare, triangle: d3.symbolTriangle, diamond: d3.symbolDiamond2, wye: d3.symbolWye, cross: d3.symbolCross };
  const shape = name === "principle" ? shapes[symbolOf({ principle: value })] ?? d3.symbolStar : d3.symbolCircle;
  const svg = d3.create("svg").attr("viewBox", "-6 -6 12 12").attr("width", 13).attr("height", 13).attr("aria-hidden", "true");
  svg.append("path").attr("d", d3.symbol(shape, 60)()).attr("fill", name === "objective" ? COLOURS[value] ?? "var(--soft)" : "var(--soft)");
  return svg.node();
}

async function unpacked(holder) {
  if (holder.dataset.packed == null) return JSON.parse(holder.textContent);
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the page (DecompressionStream is missing): use one of 2023 or later");
  const bytes = Uint8Array.from(atob(holder.textContent), (one) => one.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

function start(newer) {
  if (state.document) return refresh(newer);
  load(newer);
  listen();
  fromHash();
}

if ($("#document").dataset.live != null) follow();
else unpacked($("#document")).then(start).catch((error) => {
  $("#lines").textContent = `This page cannot be drawn: ${error.message}.`;
});
