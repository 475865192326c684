// Pointing, selecting, dimming: by the cells that marks name, the same in every view.
function choose(ids, add) {
  const all = ids.every((id) => state.selected.has(id)), again = all && (add || ids.length === state.selected.size);
  if (!add) state.selected.clear();
  for (const id of ids) state.selected[again ? "delete" : "add"](id);
  toHash();
  paint();
}

function paint() {
  const any = state.selected.size > 0;
  document.body.classList.toggle("any", any);
  for (const node of $$("[data-mark]")) {
    const on = any && node.ids.some((id) => state.selected.has(id));
    if (node.on === on && node.any === any) continue;
    [node.on, node.any] = [on, any];
    node.classList.toggle("on", on);
    node.classList.toggle("off", any && !on);
    node.setAttribute(node.matches("td, tr") ? "aria-selected" : "aria-pressed", String(on));
  }
  for (const svg of $$("svg.plot")) for (const layer of svg.layers ?? []) paintLayer(svg, layer);
  keeping($("#tray"), drawTray);
}

// Shows a mark's numbers beside it, and where its configuration is in the other views.
function point(node, x, y) {
  for (const old of $$(".near")) old.classList.remove("near");
  const tip = $("#tip");
  tip.hidden = !node;
  if (!node) return;
  node.classList?.add("near");
  if (node.key) for (const other of $$("[data-mark]")) if (other.key === node.key && !other.matches(".runs *, .intervals *")) other.classList.add("near");
  const cell = state.cells[node.ids[0]], alone = node.ids.length === 1 && cell.configuration.seeds > 1 ? cell : null;
  const row = alone ?? (node.key && cell.configuration), line = (name) => el("tr", {}, el("td", {}, MEASURES[name][0]), el("td", {}, withInterval(row, name)));
  tip.replaceChildren(el("b", {}, row && node.key === cell.key && !node.matches?.(".moves *") ? nameOf(row) : node.getAttribute("aria-label")),
    row && margins().some((name) => row[name] != null) ? el("table", {}, [...numbersOf(), ...overalls()].map(line)) : "",
    row && !alone ? el("small", {}, row.seeds ? counted(row.seeds, "seed") + (row.seeds > 1 ? `, ${state.document.interval}` : "") : distinct(node.ids.map((id) => state.cells[id]), "state").join(", ")) : "");
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 6))}px`;
  tip.style.top = `${y + 16 + box.height > innerHeight ? Math.max(4, y - box.height - 10) : y + 16}px`;
}

// Where a pointer is, in the drawing's own units.
function within(svg, event) {
  const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
  return [(event.clientX - box.x) * scale, (event.clientY - box.y) * scale];
}

// The mark under a pointer, or the nearest point of a scatter that a finger may have meant.
function meant(event) {
  const node = event.target.closest?.("[data-mark]"), svg = event.target.closest?.("svg.plot");
  if (node && !node.matches(".runs *, .intervals *")) return node;
  if (!svg?.targets.length) return node ?? null;
  const [x, y] = within(svg, event), far = ({ at }) => Math.hypot(at[0] - x, at[1] - y), best = d3.least(svg.targets, far);
  if (far(best) > REACH) return node ?? null;
  return $$(".points [data-mark]", svg).find((other) => other.key === best.row.key) ?? { ids: best.row.ids, key: best.row.key, getAttribute: () => nameOf(best.row) };
}

// Drags a rectangle with a mouse or a pen; `inside` says which cells lie between two corners.
function brush(holder, svg, inside = (a, b) => svg.targets.filter(({ at }) => at.every((one, i) => one >= a[i] && one <= b[i])).flatMap(({ row }) => row.ids)) {
  let from = null, box = null;
  svg.addEventListener("pointerdown", (event) => { from = event.button === 0 && event.pointerType !== "touch" ? within(svg, event) : null; });
  svg.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = within(svg, event), [a, b] = [from.map((one, i) => Math.min(one, to[i])), from.map((one, i) => Math.max(one, to[i]))];
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width, size = [b[0] - a[0], b[1] - a[1]];
    if (!box && d3.sum(size) < 6) return;
    if (!box) svg.setPointerCapture(event.pointerId);
    box ??= holder.appendChild(el("div", { class: "brush" }));
    [box.style.left, box.style.top, box.style.width, box.style.height] = [...a, ...size].map((one) => `${one * scale}px`);
    state.selected = new Set(inside(a, b));
    paint();
  });
  const end = () => {
    if (box) {
      box.remove();
      toHash();
      svg.dragged = true;
      setTimeout(() => { svg.dragged = false; });
    }
    from = box = null;
  };
  for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, end);
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function onKey(event) {
  if (event.key === "Escape") {
    point(null);
    choose([], false);
  }
  const node = event.target.closest?.("[data-mark]"), step = STEPS[event.key];
  if (!node?.closest("[data-walk]") || !(step || event.key === " " || event.key === "Enter")) return;
  event.preventDefault();
  if (!step) return choose(node.ids, true);
  const next = beside(node.closest("[data-walk]").walk, node, step);
  if (!next) return;
  stop(next);
  next.focus();
  if (event.shiftKey) choose([...node.ids, ...next.ids].filter((id) => !state.selected.has(id)), true);
}

// The next mark in that direction; where there is one row or one column, the other arrows walk it too.
function beside(rows, node, [down, right]) {
  const r = rows.findIndex((row) => row.includes(node)), c = rows[r].indexOf(node);
  if (rows.length === 1) return rows[0][c + down + right];
  if (rows.every((row) => row.length === 1)) return rows[r + down + right]?.[0];
  return rows[r + down]?.[Math.min(c + right, rows[r + down].length - 1 + (right > 0))];
}

function listen() {
  let seen = null, before = innerWidth;
  document.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const node = meant(event);
    if (node?.key !== seen?.key || node?.ids !== seen?.ids) point(node, event.clientX, event.clientY);
    seen = node;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("button, a, select, summary, label") || event.target.closest("svg")?.dragged) return;
    const node = meant(event), finger = event.pointerType === "touch";
    if (node) choose(node.ids, finger || event.shiftKey || event.ctrlKey || event.metaKey);
    if (finger) point(node, event.clientX, event.clientY);
  });
  document.addEventListener("focusin", (event) => {
    const node = event.target.closest("[data-mark]"), box = node?.getBoundingClientRect();
    if (node?.matches(":focus-visible")) point(node, box.right - 8, box.bottom - 8);
  });
  document.addEventListener("keydown", onKey);
  addEventListener("resize", () => {
    if (innerWidth !== before) draw();
    before = innerWidth;
  });
  addEventListener("hashchange", fromHash);
  for (const name of ["beforeprint", "afterprint"]) addEventListener(name, () => {
    document.body.classList.toggle("paper", name === "beforeprint"); // as wide as A4 is
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}
