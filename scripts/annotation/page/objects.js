// Objects: numbers, names, colors, visibility; the state of this frame; frames worth annotating next.
import { api } from "./api.js";
import { tooltip } from "./keys.js";
import { stateOf } from "./strip.js";
import { go } from "./timeline.js";
import { attempt, currentObject, element, emit, inRanges, isGiven, isLocked, make, mayWrite, notice, on, state } from "./state.js";

const COLORS = ["#e5484d", "#3b82f6", "#30a46c", "#f5a524", "#a855f7", "#06b6d4", "#ec4899", "#84cc16", "#f97316"];

export function chooseObject(number) {
  if (!state.server.objects.some((object) => object.number === number)) {
    notice(`There is no object ${number}. Add one (N).`);
    return;
  }
  state.object = number;
  emit("object");
}

/** Changes an object here and on the server. */
async function change(object, changes) {
  if (!mayWrite()) return;
  Object.assign(object, changes);
  emit("server");
  await attempt(() => api.putObject(object));
}

export async function addObject() {
  if (!mayWrite()) return;
  const { objects } = state.server;
  const taken = new Set(objects.map((object) => object.number));
  let number = 1;
  while (taken.has(number)) number++;
  const object = { number, name: `object ${number}`, color: COLORS[(number - 1) % COLORS.length], visible: true };
  if (!(await attempt(() => api.putObject(object)))) return;
  if (!state.server.objects.some((known) => known.number === number)) state.server.objects.push(object);
  state.object = number;
  emit("server");
  emit("object");
}

export function toggleVisible() {
  const object = currentObject();
  if (object) change(object, { visible: !object.visible });
}

async function removeObject(object) {
  if (!mayWrite() || !confirm(`Delete ${object.name} and its masks in all frames?`)) return;
  await attempt(() => api.deleteObject(object.number));
}

export const toggleLock = () => mayWrite() && attempt(() => api.lock(state.frame, !isLocked()));

function row(object) {
  const { number, name, color, visible } = object;
  const choose = make("button", { textContent: number, title: `Choose ${name} (${number < 10 ? number : "no key"})` });
  choose.setAttribute("aria-pressed", number === state.object);
  choose.onclick = () => chooseObject(number);
  const paint = make("input", { type: "color", value: color, title: `Color of ${name}` });
  paint.onchange = () => change(object, { color: paint.value });
  const text = make("input", { type: "text", value: name, maxLength: 40, title: `Name of object ${number}` });
  text.onchange = () => change(object, { name: text.value.trim() || `object ${number}` });
  text.onkeydown = (event) => event.key === "Enter" && text.blur();
  const eye = make("button", { textContent: visible ? "Hide" : "Show", title: `Show or hide ${name} (V for the chosen one)` });
  eye.onclick = () => change(object, { visible: !visible });
  const remove = make("button", { textContent: "×", title: `Delete ${name} and its masks` });
  remove.onclick = () => removeObject(object);
  return make("li", { className: number === state.object ? "chosen" : "" }, choose, paint, text, eye, remove);
}

/** Whether `data` differs from the last call for this list: unchanged rows stay, so that a click on them is not lost. */
function isNew(id, data) {
  const text = JSON.stringify(data);
  const known = element(id).dataset.shown === text;
  element(id).dataset.shown = text;
  return !known;
}

function list() {
  if (element("object-list").contains(document.activeElement) && document.activeElement.type === "text") return;
  const { objects, writer } = state.server;
  if (isNew("object-list", [objects, state.object, writer])) element("object-list").replaceChildren(...objects.map(row));
}

/** What is known about the shown frame, in words. */
function frameStatus() {
  const parts = state.server.objects.map((object) => {
    const { kind, value, uncertain } = stateOf(state.frame, object.number);
    const words = { empty: "no mask yet", stale: "stale: propagate again" }[kind] ?? (uncertain ? "uncertain" : kind);
    return `${object.name}: ${words}${value === null || kind === "given" ? "" : ` (confidence ${value.toFixed(2)})`}`;
  });
  element("frame-status").textContent = parts.join("; ") || "No objects yet.";
  const lock = document.querySelector("[data-command=lock]");
  lock.firstChild.textContent = isLocked() ? "Unlock" : "Lock";
  lock.setAttribute("aria-pressed", isLocked());
  lock.disabled = !isLocked() && !isGiven() && !inRanges(state.server.predicted, state.frame);
  document.querySelector("[data-command=forget]").disabled = !isGiven() || isLocked();
}

function suggestions() {
  const found = state.server.suggestions ?? [];
  if (!isNew("suggestion-list", [found, state.server.objects])) return;
  const rows = found.slice(0, 6).map(({ frame, object, why }) => {
    const name = state.server.objects.find(({ number }) => number === object)?.name ?? `object ${object}`;
    const button = make("button", { textContent: `Frame ${frame}: ${why.replace(`object ${object}`, name)}`, title: tooltip("next-suggestion") });
    button.onclick = () => go(frame);
    return make("li", {}, button);
  });
  element("suggestion-list").replaceChildren(...(rows.length ? rows : [make("li", { textContent: "Nothing yet. Propagate first." })]));
}

export function nextSuggestion() {
  const frames = (state.server.suggestions ?? []).map(({ frame }) => frame);
  if (frames.length) go(frames[(frames.indexOf(state.frame) + 1) % frames.length]);
  else notice("There are no suggestions yet. Propagate first.");
}

export function installObjects() {
  on("server object", () => state.server && list());
  on("server masks frame labels", () => state.server && frameStatus());
  on("server", () => state.server && suggestions());
}
