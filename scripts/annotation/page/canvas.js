// The stage: frame, masks and drafts in layers; zoom and pan. Pixels are never smoothed in the mask.
import { element, emit, on, palette, state } from "./state.js";

const stage = element("stage");
const context = stage.getContext("2d");
const overlays = []; // functions (context, pixel) drawn above the masks, in frame coordinates
const view = { zoom: 1, left: 0, top: 0, fit: true }; // zoom: device pixels per pixel of the frame
let layer = null;
let pending = false;

/** Adds a drawing above the masks: draw(context, pixel), where `pixel` is the length of a screen pixel. */
export const addOverlay = (draw) => overlays.push(draw);

/** Draws at the next animation frame. */
export function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    draw();
  });
}

/** An offscreen canvas of the size of the frame, with `fill(pixels)` called on its RGBA bytes. */
export function paintedLayer(made, fill) {
  const { width, height } = state.server;
  if (made?.width !== width || made?.height !== height) made = new OffscreenCanvas(width, height);
  const pixels = new ImageData(width, height);
  fill(pixels.data);
  made.getContext("2d").putImageData(pixels, 0, 0);
  return made;
}

/** Fills RGBA bytes with the masks: opaque at their borders, `opacity` inside. */
function fillMasks(pixels) {
  const { labels, opacity } = state;
  const { width, height } = state.server;
  const { colors, hidden } = palette();
  const inside = Math.round(255 * opacity);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const label = labels[i];
      if (!label || hidden[label]) continue;
      const border =
        (x > 0 && labels[i - 1] !== label) || (x < width - 1 && labels[i + 1] !== label) ||
        (y > 0 && labels[i - width] !== label) || (y < height - 1 && labels[i + width] !== label);
      pixels.set(colors[label], 4 * i);
      pixels[4 * i + 3] = border && inside ? 255 : inside;
    }
  }
}

function draw() {
  if (!state.server || !state.image) return;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, stage.width, stage.height);
  context.setTransform(view.zoom, 0, 0, view.zoom, view.left, view.top);
  context.imageSmoothingEnabled = view.zoom < 4;
  context.drawImage(state.image, 0, 0, state.server.width, state.server.height);
  context.imageSmoothingEnabled = false;
  if (layer) context.drawImage(layer, 0, 0);
  for (const overlay of overlays) {
    context.save();
    overlay(context, devicePixelRatio / view.zoom);
    context.restore();
  }
}

export function redrawMasks() {
  if (!state.labels) return;
  layer = paintedLayer(layer, fillMasks);
  redraw();
}

function fit() {
  if (!state.server) return;
  const { width, height } = state.server;
  const margin = 16 * devicePixelRatio;
  view.zoom = Math.max(0.05, Math.min((stage.width - margin) / width, (stage.height - margin) / height));
  view.left = (stage.width - view.zoom * width) / 2;
  view.top = (stage.height - view.zoom * height) / 2;
  view.fit = true;
  changed();
}

function changed() {
  element("zoom").textContent = `${Math.round((100 * view.zoom) / devicePixelRatio)} %`;
  emit("view");
  redraw();
}

/** Zooms by `factor` and keeps the frame's point under the screen position (default: the middle). */
export function zoom(factor, clientX, clientY) {
  const box = stage.getBoundingClientRect();
  const x = ((clientX ?? box.left + box.width / 2) - box.left) * devicePixelRatio;
  const y = ((clientY ?? box.top + box.height / 2) - box.top) * devicePixelRatio;
  const next = Math.max(0.2, Math.min(40, view.zoom * factor));
  view.left = x - ((x - view.left) * next) / view.zoom;
  view.top = y - ((y - view.top) * next) / view.zoom;
  view.zoom = next;
  view.fit = false;
  changed();
}

export function pan(dx, dy) {
  view.left += dx * devicePixelRatio;
  view.top += dy * devicePixelRatio;
  view.fit = false;
  changed();
}

export const zoomFit = fit;

/** The point of the frame (floats, in pixels) at a position of the screen, and back. */
export function framePoint(clientX, clientY) {
  const box = stage.getBoundingClientRect();
  return [
    ((clientX - box.left) * devicePixelRatio - view.left) / view.zoom,
    ((clientY - box.top) * devicePixelRatio - view.top) / view.zoom,
  ];
}

export function screenPoint(x, y) {
  const box = stage.getBoundingClientRect();
  return [
    box.left + (view.left + x * view.zoom) / devicePixelRatio,
    box.top + (view.top + y * view.zoom) / devicePixelRatio,
  ];
}

/** Follows the size of the window. */
export function installCanvas() {
  new ResizeObserver(() => {
    stage.width = Math.max(1, Math.round(stage.clientWidth * devicePixelRatio));
    stage.height = Math.max(1, Math.round(stage.clientHeight * devicePixelRatio));
    if (view.fit) fit();
    else redraw();
  }).observe(stage);
  on("labels server opacity", redrawMasks);
  on("draft", redraw);
}
