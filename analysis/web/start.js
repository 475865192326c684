// The page: one document in, linked views out.
const VIEWS = { figure3, figure2, figure4, parallel, curves };

function draw() {
  point(null);
  document.title = state.sweeps.map((sweep) => sweep.name).join(" and ");
  $("h1").textContent = document.title;
  $("#lines").replaceChildren(...state.sweeps.map((sweep) => el("p", {}, sweep.line)));
  drawKeys();
  drawGrid();
  drawClaims();
  for (const [id, view] of Object.entries(VIEWS)) view($(`#${id}`));
  drawTable();
  drawProvenance();
  paint();
}

// Filters, which are the legend too.
function drawKeys() {
  const all = state.sweeps.flatMap((sweep) => sweep.configurations).filter((row) => row.kind === "multiview");
  const chip = (name, value) => {
    const key = `${name}:${value}`, press = () => {
      if (!state.hidden.delete(key)) state.hidden.add(key);
      toHash();
      draw();
      $$("#keys button").find((button) => button.dataset.filter === key)?.focus();
    };
    return el("button", { class: `chip ${name}`, "aria-pressed": String(!state.hidden.has(key)), onclick: press, "data-filter": key, "aria-label": `${FILTERS[name]} ${value}` }, name === "lam" ? null : symbol(name, value), String(value));
  };
  const filters = Object.entries(FILTERS).flatMap(([name, title]) => {
    const values = distinct(all, name);
    if (name === "lam") values.sort(d3.ascending);
    if (name === "objective") values.sort((a, b) => Object.keys(COLOURS).indexOf(a) - Object.keys(COLOURS).indexOf(b));
    if (values.length > MANY_FILTERS) return [];
    return [el("span", { class: `title ${name}` }, title), ...values.map((value) => chip(name, value))];
  });
  const names = Object.fromEntries(state.sweeps.map((sweep, place) => [place, sweep.name]));
  $("#keys").replaceChildren(...filters, toggle("single runs", "runs", draw), several() ? choice("Claims and curves of", "front", names, draw) : "");
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

unpacked($("#document")).then((newer) => {
  load(newer);
  fromHash();
  listen();
  draw();
}).catch((error) => {
  $("#lines").textContent = `This page cannot be drawn: ${error.message}.`;
});
