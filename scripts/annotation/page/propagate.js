// Starting, following and cancelling a propagation.
import { api } from "./api.js";
import { reload, saved, show } from "./frames.js";
import { attempt, element, emit, mayWrite, notice, on, state } from "./state.js";

export async function propagate(direction) {
  if (!mayWrite()) return;
  if (state.server.progress) {
    notice("A propagation is running. Cancel it (C) first.");
    return;
  }
  await saved();
  if (!state.server.given.length) {
    notice("Nothing to propagate yet: paint an object in this frame first.", true);
    return;
  }
  state.following = element("follow").checked;
  await attempt(() => api.propagate(direction, state.frame));
}

export const cancel = () => mayWrite() && attempt(api.cancel);

/** A new mask: shown if it is this frame's, or if new masks are followed. */
export function arrived({ frame }) {
  const { predicted, stale } = state.server;
  add(predicted, frame);
  state.server.stale = stale.flatMap(([first, last]) =>
    [[first, Math.min(last, frame - 1)], [Math.max(first, frame + 1), last]].filter(([a, b]) => a <= b),
  );
  if (frame === state.frame) reload();
  else if (state.following && state.server.progress && !state.stroking && !state.drafting) show(frame);
  emit("masks");
}

/** Adds a frame to sorted ranges. */
function add(ranges, frame) {
  const range = ranges.find(([first, last]) => first - 1 <= frame && frame <= last + 1);
  if (!range) ranges.push([frame, frame]);
  else {
    range[0] = Math.min(range[0], frame);
    range[1] = Math.max(range[1], frame);
  }
}

const time = (seconds) => (seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds)} s`);

function update() {
  const progress = state.server?.progress;
  element("progress").hidden = !progress;
  element("propagate").hidden = Boolean(progress);
  if (!progress) return;
  const { done, total, fps, seconds_left: left, what } = progress;
  const bar = document.querySelector("#progress progress");
  bar.max = Math.max(1, total);
  bar.value = done;
  const rate = fps ? ` · ${fps.toFixed(1)} fps` : "";
  const rest = left === null || left === undefined ? "" : ` · ${time(left)} left`;
  document.querySelector("#progress span").textContent = `${what === "export" ? "Exporting " : ""}${done} of ${total}${rate}${rest}`;
}

export function installPropagate() {
  on("server progress", update);
  element("follow").addEventListener("change", (event) => {
    state.following = event.target.checked;
  });
}
