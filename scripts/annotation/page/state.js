// What the page knows: the server's state, and what this tab shows. Parts of the page listen for changes by name.

export const state = {
  server: null, // GET api/state
  frame: 0,
  image: null, // ImageBitmap of the frame
  labels: null, // Uint8Array of the frame's object numbers, width * height
  tool: "brush",
  object: 1,
  radius: 8, // of the brush, in pixels of the working size
  opacity: 0.5,
  panel: "objects",
  following: true, // new masks are shown while they are computed, until the user goes elsewhere or paints
  drafting: false, // a proposal or polygon is not finished
  stroking: false, // a stroke is under way: the label map must not be replaced
};

const listeners = new Map();

/** Calls `listener` at each emit of one of the names (separated by spaces). */
export function on(names, listener) {
  for (const name of names.split(" ")) {
    if (!listeners.has(name)) listeners.set(name, []);
    listeners.get(name).push(listener);
  }
}

/** Names: server (all of it is new), masks (which frames have masks), frame, labels, tool, view,
 * object, panel, progress, pointer, draft, written (the server has stored something). */
export function emit(name) {
  for (const listener of listeners.get(name) ?? []) listener();
}

export const element = (id) => document.getElementById(id);

/** A new element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

let noticeTimer = 0;

/** One line for the user; errors stay longer. */
export function notice(text, error = false) {
  const line = element("notice");
  line.textContent = text;
  line.title = text;
  line.classList.toggle("error", error);
  clearTimeout(noticeTimer);
  line.hidden = !text;
  if (text) noticeTimer = setTimeout(() => notice(""), error ? 12000 : 5000);
}

/** Runs an action; what it throws becomes a notice. The result says whether it succeeded. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    notice(error.message, true);
    return false;
  }
}

/** Whether this tab may write; says why if not. */
export function mayWrite() {
  if (state.server?.writer) return true;
  notice("Another tab of this page writes. Press F8 to write here.", true);
  return false;
}

const sets = new WeakMap();

/** Whether a list of frames holds t: quick, since the strip asks it for every frame. */
export function has(list, t) {
  if (!list) return false;
  let known = sets.get(list);
  if (known?.size !== list.length) {
    known = new Set(list);
    sets.set(list, known);
  }
  return known.has(t);
}

export const isLocked = (t = state.frame) => has(state.server?.locked, t);
export const isGiven = (t = state.frame) => has(state.server?.given, t);
export const inRanges = (ranges, t) => ranges.some(([first, last]) => first <= t && t <= last);

/** Whether this frame's mask may be painted; says why if not. */
export function mayPaint() {
  if (!state.labels || !mayWrite()) return false;
  if (isLocked()) {
    notice("This frame is locked. Unlock it (L) to change its mask.", true);
    return false;
  }
  return true;
}

export const currentObject = () => state.server?.objects.find((object) => object.number === state.object);

/** [256, 3] colors of the object numbers, and which numbers are hidden. */
export function palette() {
  const colors = Array.from({ length: 256 }, () => [128, 128, 128]);
  const hidden = new Uint8Array(256);
  for (const { number, color, visible } of state.server?.objects ?? []) {
    colors[number] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
    hidden[number] = visible ? 0 : 1;
  }
  return { colors, hidden };
}
