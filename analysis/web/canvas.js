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
      for (const [x, y] of layer.line ? [] : places.map((i) => layer.places[i])) {
        context.moveTo(x + layer.radius, y);
        context.arc(x, y, layer.radius, 0, 7);
      }
      if (layer.line) for (const i of places) layer.places[i].forEach(([x, y], nth) => (nth ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (layer.line) context.stroke();
      else context.fill();
    }
  }
}
