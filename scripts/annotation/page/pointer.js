// Mouse, touch, pen and the keyboard's own pointer on the stage: which tool gets what.
import { addOverlay, framePoint, pan, redraw, zoom } from "./canvas.js";
import { paintTools } from "./paint.js";
import { proposalTools } from "./grabcut.js";
import { element, emit, on, state } from "./state.js";

const stage = element("stage");
const pointers = new Map(); // pointer id -> [clientX, clientY]
let panning = false;
let pinch = null; // distance and middle of two fingers
let keyboard = null; // {point, down}: the pointer moved by keys

const panTool = {};
export const tools = { ...paintTools, ...proposalTools, pan: panTool };
const tool = () => tools[state.tool];
const pixel = () => {
  const [x0] = framePoint(0, 0);
  return framePoint(1, 0)[0] - x0;
};

export function choose(name) {
  if (name === state.tool) return;
  tool().abort?.();
  if (!(name in proposalTools && state.tool in proposalTools)) tool().discard?.();
  state.tool = name;
  stage.dataset.tool = name;
  emit("tool");
  emit("draft");
}

/** Calls one of accept, stepBack, discard of the tool. */
export function finish(what) {
  tool().abort?.();
  tool()[what]?.();
}

function fingers() {
  const [[x0, y0], [x1, y1]] = [...pointers.values()];
  return { distance: Math.hypot(x1 - x0, y1 - y0), x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
}

function down(event) {
  stage.focus({ preventScroll: true });
  try {
    stage.setPointerCapture(event.pointerId);
  } catch {
    // A pointer that is gone already cannot be captured.
  }
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  keyboard = null;
  if (pointers.size === 2) {
    tool().abort?.(); // the second finger: the first was not meant to paint
    pinch = fingers();
  } else if (pointers.size === 1) {
    panning = state.tool === "pan" || event.button === 1;
    if (!panning) state.following = false;
    if (!panning && event.button === 0) tool().down?.(framePoint(event.clientX, event.clientY), pixel());
  }
}

function move(event) {
  const old = pointers.get(event.pointerId);
  state.pointer = framePoint(event.clientX, event.clientY);
  emit("pointer");
  if (event.pointerType !== "touch") tool().hover?.(state.pointer);
  if (!old) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pinch && pointers.size === 2) {
    const next = fingers();
    pan(next.x - pinch.x, next.y - pinch.y);
    if (pinch.distance > 0) zoom(next.distance / pinch.distance, next.x, next.y);
    pinch = next;
  } else if (panning) {
    pan(event.clientX - old[0], event.clientY - old[1]);
  } else if (!pinch) {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) tool().move?.(framePoint(part.clientX, part.clientY));
  }
}

function up(event) {
  if (!pointers.delete(event.pointerId)) return;
  if (pinch || panning) {
    if (!pointers.size) {
      pinch = null;
      panning = false;
    }
  } else if (event.type === "pointercancel") tool().abort?.();
  else tool().up?.();
}

/** Moves the keyboard's pointer by whole pixels of the frame; it draws if it is down. */
export function movePointer(dx, dy) {
  const { width, height } = state.server;
  keyboard ??= { point: [width / 2, height / 2], down: false };
  const clamp = (value, most) => Math.max(0.5, Math.min(most - 0.5, value));
  keyboard.point = [clamp(keyboard.point[0] + dx, width), clamp(keyboard.point[1] + dy, height)];
  state.pointer = keyboard.point;
  emit("pointer");
  tool().hover?.(keyboard.point);
  if (keyboard.down) tool().move?.(keyboard.point);
  redraw();
}

/** Puts the keyboard's pointer down or lifts it, like a mouse button. */
export function pressPointer() {
  if (!keyboard) movePointer(0, 0);
  keyboard.down = !keyboard.down;
  if (keyboard.down) tool().down?.(keyboard.point, pixel());
  else tool().up?.();
  redraw();
}

function drawKeyboardPointer(context, length) {
  if (!keyboard) return;
  const [x, y] = keyboard.point;
  context.fillStyle = keyboard.down ? "#ef4444" : "#ffffff";
  context.strokeStyle = "#000000";
  context.lineWidth = length;
  for (const [w, h] of [[18, 3], [3, 18]]) {
    context.fillRect(x - (w / 2) * length, y - (h / 2) * length, w * length, h * length);
    context.strokeRect(x - (w / 2) * length, y - (h / 2) * length, w * length, h * length);
  }
}

export function installPointer() {
  stage.addEventListener("pointerdown", down);
  stage.addEventListener("pointermove", move);
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);
  stage.addEventListener("pointerleave", () => tool().hover?.(null));
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", () => state.tool === "polygon" && finish("accept"));
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey) pan(-event.deltaY, 0);
    else zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
  }, { passive: false });
  addOverlay(drawKeyboardPointer);
  on("frame", () => {
    if (keyboard?.down) keyboard.down = false;
    tool().abort?.();
  });
}
