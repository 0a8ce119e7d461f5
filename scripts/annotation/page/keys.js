// One table of all keys: what they do, the tooltip of the control, and the list of the help window.
import { element, make } from "./state.js";

/** [command, keys, tooltip]. A command is also what `data-command` of a button names. */
export const KEYS = [
  ["brush", ["b"], "Brush: paint the chosen object"],
  ["eraser", ["e"], "Eraser: make pixels background"],
  ["polygon", ["p"], "Polygon: click its corners, then Enter"],
  ["fill", ["f"], "Fill: give the connected region under the pointer to the chosen object"],
  ["smaller", ["["], "Smaller brush"],
  ["larger", ["]"], "Larger brush"],
  ["box", ["x"], "Box: drag it around the object; a mask is proposed"],
  ["foreground", ["o"], "Object stroke: mark pixels of the object; a mask is proposed or refined"],
  ["background", ["i"], "Not-object stroke: mark pixels outside the object; refines the proposal"],
  ["accept", ["Enter"], "Use the proposal, or close the polygon"],
  ["step-back", ["Backspace"], "Take back the last stroke or corner"],
  ["discard", ["Escape"], "Discard the proposal or polygon"],
  ["undo", ["Ctrl+z"], "Undo the last change of a mask"],
  ["redo", ["Ctrl+Shift+z", "Ctrl+y"], "Redo what was undone"],
  ["pan", ["h"], "Move the picture: drag it (also the middle mouse button, or two fingers)"],
  ["zoom-in", ["+", "="], "Zoom in (also the mouse wheel)"],
  ["zoom-out", ["-"], "Zoom out (also the mouse wheel)"],
  ["zoom-fit", ["0"], "Show the whole frame"],
  ["opacity", ["t"], "Masks lighter or denser: 50, 100, 0 percent"],
  ["visible", ["v"], "Show or hide the chosen object"],
  ["add-object", ["n"], "Add an object"],
  ["choose", ["1", "2", "3", "4", "5", "6", "7", "8", "9"], "Choose the object of this number"],
  ["next-one", ["ArrowRight"], "One frame forward"],
  ["back-one", ["ArrowLeft"], "One frame back"],
  ["next-ten", ["Shift+ArrowRight"], "Ten frames forward"],
  ["back-ten", ["Shift+ArrowLeft"], "Ten frames back"],
  ["first", ["Home"], "First frame"],
  ["last", ["End"], "Last frame"],
  ["play", ["Space"], "Play or pause"],
  ["forward", ["r"], "Propagate forward: what is missing or stale is computed"],
  ["backward", ["Shift+r"], "Propagate in both directions, up to this frame"],
  ["both", ["a"], "Propagate in both directions"],
  ["cancel", ["c"], "Cancel the propagation; what is computed stays"],
  ["follow", ["w"], "Show each new mask while it is computed"],
  ["lock", ["l"], "Lock or unlock this frame: a locked mask is never computed again"],
  ["forget", ["Delete"], "Forget this frame's given mask, so that it is predicted"],
  ["next-suggestion", ["u"], "Go to the next frame that is worth annotating"],
  ["panel-objects", ["F2"], "Objects: names, colors, this frame, suggestions"],
  ["panel-memory", ["m"], "Memory: what the bank holds at this frame, and what the pixel under the pointer reads"],
  ["panel-export", ["F4"], "Export: masks, video, cut-outs, COCO"],
  ["export", ["Ctrl+e"], "Write the chosen files into the output folder"],
  ["pointer-left", ["Alt+ArrowLeft"], "Keyboard pointer left (with Shift: one pixel)"],
  ["pointer-right", ["Alt+ArrowRight"], "Keyboard pointer right"],
  ["pointer-up", ["Alt+ArrowUp"], "Keyboard pointer up"],
  ["pointer-down", ["Alt+ArrowDown"], "Keyboard pointer down"],
  ["press", ["k"], "Press or lift the keyboard pointer"],
  ["take-over", ["F8"], "Write in this tab; the other tab then only shows"],
  ["help", ["?", "F1"], "All keys"],
];

/** Tooltips of the controls that are not buttons of a command: [text, command whose key is shown]. */
const TIPS = {
  follow: ["Show each new mask while it is computed", "follow"],
  size: ["Radius of brush and eraser in pixels", "smaller", "larger"],
  opacity: ["How dense the masks are drawn", "opacity"],
  slider: ["Frame", "back-one", "next-one"],
  strip: ["State of each frame and object: click to go there", "next-one"],
  bank: ["Which memory bank predicts (docs/MEMORY.md)", null],
  capacity: ["How many frames the bank may hold; empty: its default", null],
  "apply-bank": ["Use this bank: what it predicted so far becomes stale", null],
  "export-masks": ["One PNG of object numbers for each frame", null],
  "export-overlay": ["A video of the frames with colored masks", null],
  "export-cutouts": ["Each object on a transparent background", null],
  "export-polygons": ["One JSON file of outlines", null],
  "export-rle": ["One JSON file of run lengths, as COCO tools read it", null],
  "close-help": ["Close this window (Esc)", null],
};

const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Delete: "Del", Backspace: "⌫" };
const shown = (key) => key.split("+").map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join("+") || "+";
const keysOf = (command) => KEYS.find(([name]) => name === command)[1];
const shownKey = (command) => (keysOf(command)[0] === "+" ? "+" : shown(keysOf(command)[0]));

/** The tooltip of a command, with its key. */
export const tooltip = (command) => `${KEYS.find(([name]) => name === command)[2]} (${shownKey(command)})`;

/** The name of a key press, as in the table: Ctrl+Shift+z, ArrowLeft, ?. */
export function keyName(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (key.length > 1 || /\p{L}/u.test(key));
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${key}`;
}

/** Whether the focused control needs this key itself: text fields all, buttons Space and Enter, and so on. */
function takenByControl(target, name) {
  if (target.matches("input[type=text], input[type=number], input[type=color], textarea, select")) {
    return !name.startsWith("Ctrl+e") && name !== "F1";
  }
  if (target.matches("button, input[type=checkbox]")) return name === "Space" || name === "Enter";
  return target.matches("input[type=range]") && target.id !== "slider" && /^(Arrow|Home|End)/.test(name);
}

function showKeys() {
  for (const button of document.querySelectorAll("[data-command]")) {
    const command = button.dataset.command;
    button.title = tooltip(command);
    button.setAttribute("aria-keyshortcuts", keysOf(command)[0]);
    button.append(make("kbd", { textContent: shownKey(command), ariaHidden: "true" }));
  }
  for (const control of document.querySelectorAll("[data-tip]")) {
    const [text, ...commands] = TIPS[control.dataset.tip];
    const keys = commands.filter(Boolean).map(shownKey).join(" ");
    control.title = keys ? `${text} (${keys})` : text;
  }
  for (const [, keys, text] of KEYS) {
    const names = keys.length > 2 ? `${keys[0]} … ${keys.at(-1)}` : keys.map((key) => (key === "+" ? "+" : shown(key))).join("  ");
    element("help-keys").append(make("p", {}, make("kbd", { textContent: names }), make("span", { textContent: text })));
  }
}

/** Connects keys and buttons with `actions` (command -> function of the event). */
export function installKeys(actions) {
  showKeys();
  const commands = new Map(KEYS.flatMap(([command, keys]) => keys.map((key) => [key, command])));
  addEventListener("keydown", (event) => {
    const name = keyName(event);
    const command = commands.get(name) ?? commands.get(name.replace("Alt+Shift+", "Alt+"));
    if (!command || takenByControl(event.target, name) || (element("help").open && command !== "help")) return;
    event.preventDefault();
    actions[command](event);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-command]");
    if (!button) return;
    actions[button.dataset.command](event);
    if (event.detail) element("stage").focus({ preventScroll: true }); // a mouse click: Space plays, it does not click again
  });
}
