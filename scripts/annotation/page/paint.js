// Brush, eraser, polygon and fill. They change the label map itself; hidden objects are left as they are.
import { addOverlay, redraw, redrawMasks } from "./canvas.js";
import { commit } from "./history.js";
import { currentObject, emit, mayPaint, notice, palette, state } from "./state.js";
import * as shapes from "./shapes.js";

let before = null; // the label map at the start of a stroke
let last = null;
let corners = []; // of the polygon that is being drawn
let cursor = null; // where the pointer is

function ready() {
  if (!mayPaint()) return false;
  if (state.tool === "eraser" || currentObject()?.visible) return true;
  notice(currentObject() ? "The chosen object is hidden. Show it (V) to paint it." : "Choose or add an object (N) first.", true);
  return false;
}

const label = () => (state.tool === "eraser" ? 0 : state.object);
const size = () => [state.server.width, state.server.height];

function stroke(point) {
  shapes.line(state.labels, ...size(), last, point, state.radius, label(), palette().hidden);
  last = point;
  redrawMasks();
}

const strokeTool = {
  down(point) {
    if (!ready()) return;
    before = state.labels.slice();
    state.stroking = true;
    last = point;
    stroke(point);
  },
  move(point) {
    if (before) stroke(point);
  },
  up() {
    if (!before) return;
    state.stroking = false;
    commit(before);
    before = null;
  },
  abort() {
    if (!before) return;
    state.labels.set(before);
    state.stroking = false;
    before = null;
    redrawMasks();
  },
  hover(point) {
    cursor = point;
    redraw();
  },
};

const fillTool = {
  down([x, y]) {
    const [width, height] = size();
    if (x < 0 || y < 0 || x >= width || y >= height || !ready()) return;
    const old = state.labels.slice();
    shapes.fill(state.labels, width, [x, y], label(), palette().hidden);
    commit(old);
  },
};

const polygonTool = {
  down(point, pixel) {
    if (!ready()) return;
    const first = corners[0];
    if (corners.length > 2 && Math.hypot(point[0] - first[0], point[1] - first[1]) < 10 * pixel) polygonTool.accept();
    else corners.push(point);
    emit("draft");
  },
  hover(point) {
    cursor = point;
    redraw();
  },
  accept() {
    if (corners.length < 3 || !ready()) return;
    const old = state.labels.slice();
    shapes.polygon(state.labels, ...size(), corners, label(), palette().hidden);
    corners = [];
    commit(old);
    emit("draft");
  },
  stepBack() {
    corners.pop();
    emit("draft");
  },
  discard() {
    corners = [];
    emit("draft");
  },
  draft: () => (corners.length ? `Polygon of ${corners.length} points` : ""),
};

/** The tools by name. Each has some of down, move, up, abort, hover, and accept, stepBack, discard, draft. */
export const paintTools = { brush: strokeTool, eraser: strokeTool, fill: fillTool, polygon: polygonTool };

function outline(context, pixel, trace) {
  for (const [color, width] of [["#000", 3], ["#fff", 1.5]]) {
    context.beginPath();
    trace();
    context.strokeStyle = color;
    context.lineWidth = width * pixel;
    context.stroke();
  }
}

export function installPaint() {
  addOverlay((context, pixel) => {
    if (cursor && (state.tool === "brush" || state.tool === "eraser")) {
      outline(context, pixel, () => context.arc(...cursor, state.radius, 0, 2 * Math.PI));
    }
    if (state.tool !== "polygon" || !corners.length) return;
    outline(context, pixel, () => {
      for (const corner of [...corners, cursor ?? corners[0]]) context.lineTo(...corner);
    });
    outline(context, pixel, () => context.arc(...corners[0], 5 * pixel, 0, 2 * Math.PI));
  });
}
