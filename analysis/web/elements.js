// Elements, numbers and marks. Text from a database only ever becomes text: no markup is parsed.
const $ = (query, root = document) => root.querySelector(query);
const $$ = (query, root = document) => [...root.querySelectorAll(query)];

function el(tag, attributes = {}, ...inner) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...inner.flat(2).filter((part) => part != null));
  return node;
}

function number(value, digits = 2) {
  if (value == null) return "–";
  const text = value.toFixed(digits);
  return text.replace("-", Number(text) === 0 ? "" : "−");
}
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// "0.12 (0.09 to 0.15)": a measure of a configuration, its interval where it has one.
function withInterval(row, measure) {
  const [, digits] = MEASURES[measure], [low, high] = [row[`${measure}_low`], row[`${measure}_high`]];
  const value = number(row[measure], digits);
  return low == null ? value : `${value} (${number(low, digits)} to ${number(high, digits)})`;
}

// A mark stands for cells: it can be pointed at, selected, and dimmed while others are selected.
// Marks of the same configuration share a key, and are pointed at together.
function mark(node, { ids, key = null, name }) {
  Object.assign(node, { ids, key });
  node.setAttribute("data-mark", "");
  node.setAttribute("aria-label", name);
  return node;
}

// Arrows walk these rows of marks; one of them is a stop of the Tab key.
function walkable(container, rows) {
  container.walk = rows.filter((row) => row.length);
  container.setAttribute("data-walk", "");
  if (container.walk.length) stop(container.walk[0][0], container);
}

function stop(node, container = node.closest("[data-walk]")) {
  for (const other of container.walk.flat()) other.setAttribute("tabindex", other === node ? "0" : "-1");
}

// What a reader chooses is drawn in one view, or in all.
function chosen(name, value, view) {
  state[name] = value;
  toHash();
  (view ? redraw : draw)(view);
}

function toggle(text, name, view) {
  const change = (event) => chosen(name, event.target.checked, view);
  return el("label", { class: "toggle noprint" }, el("input", { type: "checkbox", checked: state[name], onchange: change, "data-toggle": name }), text);
}

function choice(label, name, options, view) {
  const change = (event) => chosen(name, typeof state[name] === "number" ? Number(event.target.value) : event.target.value, view);
  const all = Object.entries(options).map(([value, text]) => el("option", { value, selected: value === String(state[name]) }, text));
  return el("label", { class: "choice" }, `${label} `, el("select", { onchange: change, "data-choice": name }, all));
}
