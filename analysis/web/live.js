// A document that grows while its sweeps train: fetched whenever its server says that it has changed.
function follow() {
  let told = "", held = "", isPressed = false;
  const update = async () => {
    if (told === held || isPressed || (CSS.supports("selector(select:open)") && $("select:open"))) return; // what a reader has in hand stays
    held = told;
    const answer = await fetch(`data.json${location.search}`, { cache: "no-cache" }).catch(() => null);
    if (answer?.ok) start(await answer.json());
    else held = "";
  };
  const lose = (text) => {
    state.lost = text;
    drawLive();
  };
  const stream = new EventSource(`events${location.search}`);
  stream.onmessage = ({ data }) => {
    told = data;
    if (state.lost) lose("");
  };
  stream.onerror = () => state.lost || lose(`No answer since ${new Date().toLocaleTimeString()}. \`sweeper serve\` starts this page again.`);
  setInterval(update, 250);
  for (const name of ["pointerdown", "pointerup", "pointercancel"]) addEventListener(name, () => { isPressed = name === "pointerdown"; }, true);
}

// A newer document: the same cells stay selected, and only what has changed is drawn anew.
function refresh(newer) {
  const named = (cell) => JSON.stringify([state.sweeps[cell.sweep].name, cell.label]);
  const names = new Set([...state.selected].map((id) => named(state.cells[id]))), before = state.document;
  load(newer);
  state.selected = new Set(state.cells.filter((cell) => names.has(named(cell))).map((cell) => cell.id));
  toHash();
  draw(before);
}

// What these parts of a document's sweeps say, and which cells they are of.
const shownOf = ({ sweeps, pairs }, parts) => JSON.stringify([pairs, sweeps.map((sweep) => [sweep.name, sweep.cells.label, parts.map((part) => sweep[part])])]);

// What is drawn anew in a place is focused, opened and scrolled as it was.
function keeping(place, view) {
  const stops = () => $$("button, a, select, input, summary, [tabindex]", place), all = (query) => $$(query, place);
  const focused = document.activeElement, nth = stops().indexOf(focused);
  const open = all("details").map((node) => node.open), scrolled = all(".list, .scroll, code").map((node) => [node.scrollLeft, node.scrollTop]);
  view(place);
  all("details").forEach((node, i) => { node.open = open[i] ?? false; });
  all(".list, .scroll, code").forEach((node, i) => node.scrollTo(...(scrolled[i] ?? [0, 0])));
  const again = nth < 0 ? null : stops()[nth]?.key === focused.key ? stops()[nth] : stops().find((node) => node.key === focused.key);
  if (!again || again === focused) return;
  if (again.closest("[data-walk]") && again.key) stop(again);
  again.focus({ preventScroll: true });
}

// How the sweeps stand, what else the database holds, and what came to grief.
function drawLive() {
  const live = state.document?.live, lost = state.lost || live?.trouble || "";
  if ($("#lost").textContent !== lost) $("#lost").textContent = lost;
  if (!live) return;
  const shown = live.sweeps.filter((row) => row.is_shown), [done, cells] = ["finished", "cells"].map((name) => d3.sum(shown, (row) => row[name]));
  const sign = lost ? "! " : done === cells ? "✓ " : shown.some((row) => row.state === "running") ? "" : "■ ";
  document.title = shown.length ? `${sign}${done}/${cells} · sweeper` : "sweeper";
  const link = (text, others, more) => el("a", { class: "chip", href: `?${new URLSearchParams(others.map((name) => ["sweep", name]))}`, ...more }, text);
  keeping($("#live"), (place) => place.replaceChildren(...shown.map((row) => standing(row, shown.length > 1)), ...troublesOf(state.cells),
    live.sweeps.length < 2 ? "" : el("nav", { class: "keys", "aria-label": "Sweeps of this database" }, live.sweeps.filter((row) => row.is_grid).flatMap((row) => [
      link(`${row.name} ${row.finished}/${row.cells}`, [row.name], { "aria-current": row.is_shown && "true" }),
      row.is_shown || !shown.length ? null : link("+", [...shown.map((other) => other.name), row.name], { "aria-label": `${row.name} beside` })]))));
}

function standing(row, isNamed) {
  const states = Object.entries(row.states), others = states.filter(([name]) => name !== "finished").map(([name, count]) => `${count} ${name}`);
  return el("div", { class: "standing" },
    el("p", {}, el("b", {}, `${row.finished}/${row.cells}`), ` ${[isNamed ? row.name : "cells finished", others.join(", "), row.left].filter(Boolean).join(" · ")}`),
    el("div", { class: "bar", "aria-hidden": "true" }, states.map(([name, count]) => el("i", { "data-state": name, "--part": count }))),
    row.next ? el("p", { class: "note" }, "No driver is at work; go on with ", el("kbd", {}, row.next)) : null);
}
