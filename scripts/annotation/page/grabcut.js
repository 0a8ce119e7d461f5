// A box or strokes of object and background become a proposal (cv2.grabCut on the server), refined by more strokes.
import { api } from "./api.js";
import { addOverlay, paintedLayer, redraw } from "./canvas.js";
import { commit } from "./history.js";
import { attempt, currentObject, emit, mayPaint, notice, on, palette, state } from "./state.js";

const STROKE_RADIUS = 4; // pixels of the working size, at most the brush's
const fresh = () => ({ box: null, strokes: [], order: [] });
let draft = fresh();
let current = null; // what is being drawn: {kind, points}
let proposal = null; // Uint8Array of 0 and 1
let layer = null;
let asked = 0;
let waiting = false;

const radius = () => Math.min(STROKE_RADIUS, state.radius);
const clampPoint = ([x, y]) => [
  Math.max(0, Math.min(state.server.width - 1, x)),
  Math.max(0, Math.min(state.server.height - 1, y)),
];

/** Asks for the proposal of all that was drawn; an older answer that comes later is dropped. */
async function ask() {
  const turn = ++asked;
  const strokes = (kind) => draft.strokes.filter((stroke) => stroke.kind === kind).map((stroke) => stroke.points);
  if (!draft.box && !strokes("foreground").length) {
    proposal = null;
    emit("draft");
    return;
  }
  waiting = true;
  emit("draft");
  await attempt(async () => {
    const order = {
      object: state.object, box: draft.box, foreground: strokes("foreground"), background: strokes("background"),
      radius: radius(),
    };
    const answer = await api.grabcut(state.frame, order);
    if (turn === asked) proposal = answer;
  });
  if (turn !== asked) return;
  waiting = false;
  drawProposal();
  emit("draft");
}

function drawProposal() {
  if (!proposal) return;
  const color = palette().colors[state.object];
  const { width } = state.server;
  layer = paintedLayer(layer, (pixels) => {
    for (let i = 0; i < proposal.length; i++) {
      if (!proposal[i]) continue;
      const striped = (((i % width) + Math.floor(i / width)) >> 2) & 1;
      pixels.set(striped ? [255, 255, 255] : color, 4 * i);
      pixels[4 * i + 3] = striped ? 110 : 200;
    }
  });
}

function boxOf([[x0, y0], [x1, y1]]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

function tool(kind) {
  return {
    down(point) {
      if (!mayPaint()) return;
      if (!currentObject()) {
        notice("Choose or add an object (N) first.", true);
        return;
      }
      current = { kind, points: [clampPoint(point), clampPoint(point)] };
      redraw();
    },
    move(point) {
      if (!current) return;
      if (kind === "box") current.points[1] = clampPoint(point);
      else current.points.push(clampPoint(point));
      redraw();
    },
    up() {
      if (!current) return;
      const drawn = current;
      current = null;
      if (kind === "box") {
        const box = boxOf(drawn.points);
        if (box[2] - box[0] < 4 || box[3] - box[1] < 4) return;
        draft.order.push({ box: draft.box });
        draft.box = box;
      } else {
        draft.order.push({});
        draft.strokes.push(drawn);
      }
      ask();
    },
    abort() {
      current = null;
      redraw();
    },
    accept,
    stepBack,
    discard,
    draft: text,
  };
}

function text() {
  if (waiting) return "Computing a proposal …";
  if (proposal) return `Proposal for ${currentObject()?.name ?? state.object}. Strokes refine it (O, I).`;
  return draft.order.length ? "Draw a box or a stroke on the object" : "";
}

function accept() {
  if (!proposal || !mayPaint()) return;
  const before = state.labels.slice();
  const { hidden } = palette();
  for (let i = 0; i < proposal.length; i++) {
    const old = state.labels[i];
    if (proposal[i] && !hidden[old]) state.labels[i] = state.object;
    else if (!proposal[i] && old === state.object) state.labels[i] = 0;
  }
  discard();
  commit(before);
}

function stepBack() {
  const step = draft.order.pop();
  if (!step) return;
  if ("box" in step) draft.box = step.box;
  else draft.strokes.pop();
  ask();
}

function discard() {
  asked++;
  waiting = false;
  draft = fresh();
  current = null;
  proposal = null;
  emit("draft");
}

const shared = ["box", "foreground", "background"];
export const proposalTools = Object.fromEntries(shared.map((kind) => [kind, tool(kind)]));

function drawDraft(context, pixel) {
  if (proposal && layer) context.drawImage(layer, 0, 0);
  context.lineCap = "round";
  context.lineJoin = "round";
  const box = current?.kind === "box" ? boxOf(current.points) : draft.box;
  if (box) {
    context.setLineDash([6 * pixel, 4 * pixel]);
    context.lineWidth = 2 * pixel;
    context.strokeStyle = "#fff";
    context.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
    context.setLineDash([]);
  }
  for (const { kind, points } of [...draft.strokes, ...(current && current.kind !== "box" ? [current] : [])]) {
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    context.lineWidth = 2 * radius();
    context.strokeStyle = kind === "foreground" ? "#22c55ecc" : "#ef4444cc";
    context.stroke();
  }
}

export function installGrabcut() {
  addOverlay(drawDraft);
  on("object", () => draft.order.length && ask());
  on("frame", () => {
    if (draft.order.length) notice("The proposal of the other frame was discarded.");
    discard();
  });
}
