// The memory panel: which bank, what it holds at this frame, and what the pixel under the pointer reads.
import { api } from "./api.js";
import { addOverlay, redraw } from "./canvas.js";
import { go } from "./timeline.js";
import { attempt, element, inRanges, make, mayWrite, on, state } from "./state.js";

const READ_EVERY = 120; // milliseconds between two questions of the moving pointer
let shown = ""; // what the panel shows: the frame and the version of the state
let version = 0;
let reads = [];
let reading = false;
let next = null; // the pointer's place that was not asked for yet

const open = () => state.panel === "memory" && state.server;

function bank() {
  const { memory, memory_frames: frames, choices = [] } = state.server.bank ?? {};
  const select = element("bank-name");
  if (document.activeElement === select || document.activeElement === element("bank-frames")) return;
  select.replaceChildren(...choices.map((name) => make("option", { value: name, textContent: name, selected: name === memory })));
  element("bank-frames").value = frames ?? "";
}

function figure({ frame, cells, count }) {
  const src = `${cells}?${version}`; // a new address: browsers keep pictures of an earlier state
  const picture = make("img", { src, alt: `Frame ${frame} with the entries that are held` });
  const caption = make("figcaption", { textContent: `Frame ${frame}` });
  const made = make("figure", { title: `Entries of frame ${frame}; click to go there` }, picture, make("canvas"), caption);
  made.dataset.frame = frame;
  made.dataset.caption = count === undefined ? `Frame ${frame}` : `Frame ${frame}: ${count} held`;
  made.onclick = () => go(frame);
  picture.onload = marks;
  return made;
}

async function refresh() {
  if (!open()) return;
  const known = inRanges(state.server.predicted, state.frame) || inRanges(state.server.stale, state.frame);
  const wanted = `${state.frame} ${version} ${known}`;
  if (wanted === shown) return;
  shown = wanted;
  reads = [];
  await attempt(async () => {
    const held = await api.memory(state.frame).catch((error) => {
      if (error.status === 404) return { entries: 0, frames: [] };
      throw error;
    });
    if (wanted !== shown) return;
    element("memory-status").textContent = held.frames.length
      ? `At frame ${state.frame}, the bank holds ${held.entries} entries of ${held.frames.length} frames. ` +
        "Point at a pixel of the frame to see which of them it reads."
      : `Frame ${state.frame} was not predicted yet, so nothing is known about its memory.`;
    element("memory-frames").replaceChildren(...held.frames.toSorted((a, b) => b.frame - a.frame).map(figure));
  });
}

/** Draws what is read onto the pictures: the heavier, the larger. */
function marks() {
  const most = Math.max(1e-9, ...reads.map(({ weight }) => weight));
  for (const box of element("memory-frames").children) {
    const [picture, canvas, caption] = box.children;
    canvas.width = picture.clientWidth;
    canvas.height = picture.clientHeight;
    const pen = canvas.getContext("2d");
    const scale = canvas.width / state.server.width;
    const own = reads.filter(({ frame }) => frame === Number(box.dataset.frame));
    for (const { x, y, weight } of own) {
      pen.beginPath();
      pen.arc(x * scale, y * scale, 2 + 5 * Math.sqrt(weight / most), 0, 2 * Math.PI);
      pen.fillStyle = "#ffe600b0";
      pen.fill();
      pen.strokeStyle = "#000";
      pen.stroke();
    }
    const share = own.reduce((sum, { weight }) => sum + weight, 0);
    const read = reads.length ? `, ${Math.round(100 * share)} % read` : "";
    caption.textContent = box.dataset.caption + read;
  }
}

async function ask() {
  if (reading || !next || !open()) return;
  reading = true;
  const [x, y] = next;
  const frame = state.frame;
  next = null;
  try {
    const answer = await api.reads(frame, Math.floor(x), Math.floor(y));
    reads = frame === state.frame ? answer : [];
  } catch {
    reads = []; // nothing was predicted here
  }
  marks();
  redraw();
  setTimeout(() => {
    reading = false;
    ask();
  }, READ_EVERY);
}

function pointed() {
  if (!open() || !state.pointer) return;
  const [x, y] = state.pointer;
  if (x < 0 || y < 0 || x >= state.server.width || y >= state.server.height) return;
  next = [x, y];
  ask();
}

export function installMemory() {
  element("bank").addEventListener("submit", (event) => {
    event.preventDefault();
    const frames = element("bank-frames").value;
    const order = { memory: element("bank-name").value, memory_frames: frames ? Number(frames) : null };
    if (mayWrite()) attempt(() => api.bank(order));
  });
  on("server", () => {
    version++;
    if (state.server) bank();
  });
  on("server panel labels", refresh);
  on("pointer", pointed);
  on("panel", redraw);
  on("frame", () => {
    reads = [];
  });
  addOverlay((context, pixel) => {
    if (!open() || !reads.length || !state.pointer) return;
    context.strokeStyle = "#ffe600";
    context.lineWidth = 2 * pixel;
    context.strokeRect(state.pointer[0] - 6 * pixel, state.pointer[1] - 6 * pixel, 12 * pixel, 12 * pixel);
  });
}
