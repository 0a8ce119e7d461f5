// Starts the page: connects the parts, reads the server's state and follows its events.
import { api, listen } from "./api.js";
import { installCanvas, redraw, redrawMasks, zoom, zoomFit } from "./canvas.js";
import { exportFiles } from "./export.js";
import { reload, save, show } from "./frames.js";
import { installGrabcut } from "./grabcut.js";
import { redo, undo } from "./history.js";
import { installKeys } from "./keys.js";
import { installMemory } from "./memory.js";
import { addObject, chooseObject, installObjects, nextSuggestion, toggleLock, toggleVisible } from "./objects.js";
import { installPaint } from "./paint.js";
import { choose, finish, installPointer, movePointer, pressPointer, tools } from "./pointer.js";
import { arrived, cancel, installPropagate, propagate } from "./propagate.js";
import { attempt, element, emit, isGiven, mayPaint, notice, on, state } from "./state.js";
import { go, installTimeline, play, step } from "./timeline.js";

function radius(value) {
  state.radius = Math.max(1, Math.min(80, Math.round(value)));
  element("radius").value = state.radius;
  element("radius-text").textContent = `${state.radius} px`;
  redraw();
}

function opacity(value) {
  state.opacity = value;
  element("opacity").value = 100 * value;
  element("opacity-text").textContent = `${Math.round(100 * value)} %`;
  redrawMasks();
}

function panel(name) {
  state.panel = name;
  for (const tab of document.querySelectorAll("[data-panel]")) {
    tab.setAttribute("aria-pressed", tab.dataset.panel === name);
    element(tab.dataset.panel).hidden = tab.dataset.panel !== name;
  }
  emit("panel");
}

function forget() {
  if (isGiven() && mayPaint()) save(state.frame, null);
}

function help() {
  if (element("help").open) element("help").close();
  else element("help").showModal();
}

const distance = (event) => (event.shiftKey ? 1 : Math.max(2, Math.round(state.radius / 2)));
const actions = {
  ...Object.fromEntries(Object.keys(tools).map((name) => [name, () => choose(name)])),
  smaller: () => radius(Math.min(state.radius - 1, state.radius / 1.2)),
  larger: () => radius(Math.max(state.radius + 1, state.radius * 1.2)),
  accept: () => finish("accept"),
  "step-back": () => finish("stepBack"),
  discard: () => finish("discard"),
  undo,
  redo,
  "zoom-in": () => zoom(1.25),
  "zoom-out": () => zoom(0.8),
  "zoom-fit": zoomFit,
  opacity: () => opacity({ 0.5: 1, 1: 0 }[state.opacity] ?? 0.5),
  visible: toggleVisible,
  "add-object": addObject,
  choose: (event) => chooseObject(Number(event.key)),
  "next-one": () => step(1),
  "back-one": () => step(-1),
  "next-ten": () => step(10),
  "back-ten": () => step(-10),
  first: () => step(-1e9),
  last: () => step(1e9),
  play,
  forward: () => propagate("forward"),
  backward: () => propagate("backward"),
  both: () => propagate("both"),
  cancel,
  follow: () => element("follow").click(),
  lock: toggleLock,
  forget,
  "next-suggestion": nextSuggestion,
  "panel-objects": () => panel("objects"),
  "panel-memory": () => panel("memory"),
  "panel-export": () => panel("export"),
  export: exportFiles,
  "pointer-left": (event) => movePointer(-distance(event), 0),
  "pointer-right": (event) => movePointer(distance(event), 0),
  "pointer-up": (event) => movePointer(0, -distance(event)),
  "pointer-down": (event) => movePointer(0, distance(event)),
  press: pressPointer,
  "take-over": () => attempt(api.takeOver),
  help,
};

function showTool() {
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", button.dataset.tool === state.tool);
  }
  const draft = tools[state.tool].draft?.() ?? "";
  element("proposal").hidden = !draft;
  state.drafting = Boolean(draft);
  document.querySelector("#proposal span").textContent = draft;
}

function showServer() {
  const { objects, given, writer } = state.server;
  element("video").textContent = state.server.video ?? "";
  element("video").title = `Saved in ${state.server.folder ?? "the output folder"}`;
  element("readonly").hidden = writer;
  element("hint").hidden = given.length > 0 || !writer;
  if (!objects.some((object) => object.number === state.object) && objects.length) chooseObject(objects[0].number);
}

const READ_EVERY = 2000; // milliseconds, while masks arrive
let reading = null;
let read = 0; // when the state was read last

/** Reads the server's state; if it is asked for again meanwhile, it is read once more. */
async function readState(first = false) {
  if (reading) {
    reading.again = true;
    return;
  }
  reading = { again: false };
  await attempt(async () => {
    do {
      reading.again = false;
      state.server = await api.state();
      read = performance.now();
    } while (reading.again);
    emit("server");
    emit("progress");
    if (first && !state.image) {
      const begin = state.server.given[0] ?? 0;
      state.frame = -1;
      await show(begin);
      zoomFit();
      if (!state.server.objects.length && state.server.writer) await addObject();
      document.body.dataset.ready = "true";
    } else reload();
  });
  reading = null;
  if (!state.server?.writer) setTimeout(readState, 1000); // the other tab may have been closed
}

const events = {
  state: () => readState(),
  mask(data) {
    if (!state.server) return;
    arrived(data);
    if (performance.now() - read > READ_EVERY) readState(); // the confidence of the new masks
  },
  progress(data) {
    if (!state.server) return;
    state.server.progress = data;
    emit("progress");
  },
  failure: ({ error }) => notice(error, true),
};

installCanvas();
installPaint();
installGrabcut();
installPointer();
installTimeline();
installObjects();
installMemory();
installPropagate();
installKeys(actions);
on("tool draft", showTool);
on("server", showServer);
on("written", () => readState());
element("radius").addEventListener("input", (event) => radius(Number(event.target.value)));
element("opacity").addEventListener("input", (event) => opacity(Number(event.target.value) / 100));
addEventListener("unhandledrejection", (event) => notice(String(event.reason?.message ?? event.reason), true));
radius(8);
opacity(0.5);
panel("objects");
choose("brush");
showTool();
listen(events, () => readState(true), () => notice("The connection to the server is broken. Trying again …", true));
window.annotate = { state, go }; // for tests and for the curious
