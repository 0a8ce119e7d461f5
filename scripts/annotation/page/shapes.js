// Sharp shapes in a label map: discs, lines, polygons, regions. No anti-aliasing, so every pixel is one number.

/** Sets `label` in every pixel of `labels` whose middle lies in the disc, except where `kept[old label]` is 1. */
export function disc(labels, width, height, [cx, cy], radius, label, kept) {
  const r = Math.max(0.5, radius);
  for (let y = Math.max(0, Math.floor(cy - r)); y <= Math.min(height - 1, Math.ceil(cy + r)); y++) {
    const half = r * r - (y + 0.5 - cy) ** 2;
    if (half < 0) continue;
    const reach = Math.sqrt(half);
    const first = Math.max(0, Math.ceil(cx - reach - 0.5));
    const last = Math.min(width - 1, Math.floor(cx + reach - 0.5));
    for (let i = y * width + first; i <= y * width + last; i++) if (!kept[labels[i]]) labels[i] = label;
  }
}

/** A line as wide as the brush, from one point to another. */
export function line(labels, width, height, from, to, radius, label, kept) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / Math.max(0.5, radius / 4)));
  for (let step = 0; step <= steps; step++) {
    const part = step / steps;
    const point = [from[0] + part * (to[0] - from[0]), from[1] + part * (to[1] - from[1])];
    disc(labels, width, height, point, radius, label, kept);
  }
}

/** The pixels whose middle lies in the polygon (even-odd rule). */
export function polygon(labels, width, height, points, label, kept) {
  for (let y = 0; y < height; y++) {
    const middle = y + 0.5;
    const crossings = [];
    for (let n = 0; n < points.length; n++) {
      const [x0, y0] = points[n];
      const [x1, y1] = points[(n + 1) % points.length];
      if (y0 <= middle !== y1 <= middle) crossings.push(x0 + ((middle - y0) / (y1 - y0)) * (x1 - x0));
    }
    crossings.sort((a, b) => a - b);
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      const first = Math.max(0, Math.ceil(crossings[n] - 0.5));
      const last = Math.min(width - 1, Math.ceil(crossings[n + 1] - 0.5) - 1);
      for (let i = y * width + first; i <= y * width + last; i++) if (!kept[labels[i]]) labels[i] = label;
    }
  }
}

/** The connected region of equal labels that holds the point. */
export function fill(labels, width, [px, py], label, kept) {
  const start = Math.floor(py) * width + Math.floor(px);
  const old = labels[start];
  if (old === label || kept[old]) return;
  const open = [start];
  labels[start] = label;
  while (open.length) {
    const i = open.pop();
    const x = i % width;
    for (const next of [x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width]) {
      if (next >= 0 && next < labels.length && labels[next] === old) {
        labels[next] = label;
        open.push(next);
      }
    }
  }
}
