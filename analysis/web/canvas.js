// Where there are too many marks for elements, they are painted below the axes.
function paintLayer(svg, layer) {
  const { width, height } = svg.viewBox.baseVal, dense = devicePixelRatio || 1;
  if (!layer.canvas) {
    layer.canvas = el("canvas", { width: width * dense, height: height * dense, "aria-hidden": "true" });
    layer.places = layer.rows.map(layer.line ?? layer.at);
    svg.before(layer.canvas);
  }
  const context = layer.canvas.getContext("2d"), style = getComputedStyle(document.documentElement), any = state.selected.size > 0;
  context.setTransform(dense, 0, 0, dense, 0, 0);
  context.clearRect(0, 0, width, height);
  const isOn = (row) => any && row.ids.some((id) => state.selected.has(id));
  const groups = d3.groups(d3.range(layer.rows.length), (i) => isOn(layer.rows[i]), (i) => colourOf(layer.rows[i]));
  for (const [on, colours] of groups.toSorted(([a], [b]) => a - b)) {
    context.globalAlpha = any ? (on ? 0.9 : 0.06) : layer.alpha;
    for (const [colour, places] of colours) {
      context.fillStyle = context.strokeStyle = style.getPropertyValue(colour.slice(4, -1));
      context.beginPath();
      for (const i of places) trace(context, layer, layer.places[i]);
      if (layer.line) context.stroke();
      else context.fill();
    }
  }
}

function trace(context, { line, radius }, place) {
  if (line) place.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  else {
    context.moveTo(place[0] + radius, place[1]);
    context.arc(place[0], place[1], radius, 0, 7);
  }
}
