// The strip below the slider: for each frame and object given, predicted, locked, stale, uncertain, absent.
import { element, emit, has, inRanges, isGiven, isLocked, on, state } from "./state.js";

const ROW = 20; // screen pixels per object
const HEAD = 12; // row of locks, given frames and suggestions
const UNCERTAIN = 0.5; // confidence below it is marked if the server does not say
const strip = element("strip");
const context = strip.getContext("2d");
let queued = false;

/** given, predicted, stale, absent or empty; and whether the prediction is uncertain. */
export function stateOf(t, number) {
  const { predicted, stale, absent, uncertain, confidence } = state.server;
  const value = confidence?.[number]?.[t] ?? null;
  if (isGiven(t)) return { kind: "given", value, uncertain: false };
  const kind = inRanges(stale, t) ? "stale" : inRanges(predicted, t) ? "predicted" : "empty";
  const gone = kind === "predicted" && has(absent?.[number], t);
  const unsure = uncertain ? has(uncertain[number], t) : value !== null && value < UNCERTAIN;
  return { kind: gone ? "absent" : kind, value, uncertain: kind === "predicted" && !gone && Boolean(unsure) };
}

const theme = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function hatch(color) {
  const tile = new OffscreenCanvas(6, 6);
  const pen = tile.getContext("2d");
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  for (const shift of [-6, 0, 6]) {
    pen.beginPath();
    pen.moveTo(shift, 6);
    pen.lineTo(shift + 6, 0);
    pen.stroke();
  }
  return context.createPattern(tile, "repeat");
}

function cell(x, y, width, color, { kind, uncertain }, patterns) {
  if (kind === "empty") return;
  if (kind === "absent") {
    context.fillStyle = theme("--soft");
    context.fillRect(x, y + ROW / 2 - 2, Math.max(1, width * 0.6), 2);
    return;
  }
  context.globalAlpha = kind === "given" ? 1 : kind === "stale" ? 0.9 : 0.4;
  context.fillStyle = kind === "stale" ? patterns.stale : color;
  context.fillRect(x, y, width, ROW - 2);
  context.globalAlpha = 1;
  if (uncertain || kind === "given") {
    context.fillStyle = theme(uncertain ? "--uncertain" : "--given");
    context.fillRect(x, y + ROW - 5, width, 3);
  }
}

function curve(values, width, y) {
  context.beginPath();
  context.strokeStyle = theme("--text");
  context.lineWidth = 1.25;
  let drawing = false;
  values.forEach((value, t) => {
    if (value === null || !inRanges(state.server.predicted, t)) {
      drawing = false;
      return;
    }
    const point = [(t + 0.5) * width, y + (ROW - 4) * (1 - value) + 1];
    if (drawing) context.lineTo(...point);
    else context.moveTo(...point);
    drawing = true;
  });
  context.stroke();
}

function head(width) {
  const { frames, suggestions = [] } = state.server;
  for (let t = 0; t < frames; t++) {
    context.fillStyle = theme("--text");
    if (isLocked(t)) context.fillRect(t * width, HEAD - 5, Math.max(2, width), 4);
  }
  context.fillStyle = theme("--uncertain");
  for (const { frame } of suggestions) {
    context.beginPath();
    context.arc((frame + 0.5) * width, 4, 3.5, 0, 2 * Math.PI);
    context.fill();
  }
}

function draw() {
  queued = false;
  if (!state.server) return;
  const { frames, objects, confidence } = state.server;
  const [w, h] = [strip.parentElement.clientWidth, HEAD + ROW * Math.max(1, objects.length)];
  strip.width = Math.round(w * devicePixelRatio);
  strip.height = Math.round(h * devicePixelRatio);
  strip.style.height = `${h}px`;
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  const patterns = { stale: hatch(theme("--stale")) };
  const width = w / frames;
  objects.forEach(({ number, color }, row) => {
    const y = HEAD + row * ROW;
    context.fillStyle = theme("--page");
    context.fillRect(0, y, w, ROW - 2);
    let start = 0;
    let open = stateOf(0, number);
    for (let t = 1; t <= frames; t++) {
      const next = t < frames ? stateOf(t, number) : null;
      if (next && next.kind === open.kind && next.uncertain === open.uncertain && next.kind !== "absent") continue;
      cell(start * width, y, Math.max(1, (t - start) * width), color, open, patterns);
      [start, open] = [t, next];
    }
    curve(confidence?.[number] ?? [], width, y);
  });
  head(width);
  context.fillStyle = theme("--accent");
  context.fillRect(state.frame * width + width / 2 - 1, 0, 2, h);
}

function queue() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(draw);
}

function describe(event) {
  const box = strip.getBoundingClientRect();
  const { frames, objects, suggestions = [] } = state.server;
  const t = Math.max(0, Math.min(frames - 1, Math.floor(((event.clientX - box.left) / box.width) * frames)));
  const object = objects[Math.floor((event.clientY - box.top - HEAD) / ROW)];
  const parts = [`frame ${t}`];
  if (object) {
    const { kind, value, uncertain } = stateOf(t, object.number);
    parts.push(`${object.name}: ${uncertain ? "uncertain" : kind}`);
    if (value !== null) parts.push(`confidence ${value.toFixed(2)}`);
  }
  if (isLocked(t)) parts.push("locked");
  parts.push(...suggestions.filter(({ frame }) => frame === t).map(({ why }) => why));
  element("strip-text").textContent = parts.join(", ");
  return t;
}

/** Calls go(t) if a frame of the strip is clicked or dragged over. */
export function installStrip(go) {
  strip.addEventListener("pointerdown", (event) => {
    strip.setPointerCapture(event.pointerId);
    go(describe(event));
  });
  strip.addEventListener("pointermove", (event) => {
    if (!state.server) return;
    const t = describe(event);
    if (event.buttons) go(t);
  });
  strip.addEventListener("pointerleave", () => {
    element("strip-text").textContent = "";
  });
  new ResizeObserver(queue).observe(strip.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => emit("frame"));
  on("server masks frame", queue);
}
