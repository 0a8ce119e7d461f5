// Slider, steps and playback.
import { saved, show } from "./frames.js";
import { installStrip } from "./strip.js";
import { element, on, state } from "./state.js";

const slider = element("slider");
let playing = false;

/** Goes to frame t. */
export function go(t) {
  if (!state.server || state.stroking) return;
  state.following = false;
  show(t);
}

export const step = (by) => {
  pause();
  go(state.frame + by);
};

export function pause() {
  playing = false;
  element("play-text").textContent = "Play";
}

/** Plays at the video's rate; frames are left out if the page cannot keep up. */
export async function play() {
  if (playing || !state.server) {
    pause();
    return;
  }
  playing = true;
  state.following = false;
  element("play-text").textContent = "Pause";
  await saved();
  const { frames, fps } = state.server;
  let shown = state.frame >= frames - 1 ? 0 : state.frame;
  let begun = performance.now() - (1000 * shown) / fps;
  while (playing) {
    const due = Math.floor(((performance.now() - begun) / 1000) * fps);
    if (due > shown || shown !== state.frame) {
      const next = Math.min(due, shown + 10, frames - 1);
      if (next < due) begun = performance.now() - (1000 * next) / fps;
      shown = next;
      await show(shown);
      if (shown === frames - 1) pause();
    }
    await new Promise(requestAnimationFrame);
  }
}

function update() {
  const { frames, fps } = state.server;
  slider.max = frames - 1;
  slider.value = state.frame;
  const seconds = state.frame / (fps || 25);
  const text = `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
  element("frame-text").textContent = `${state.frame} / ${frames - 1} · ${text}`;
  document.body.dataset.frame = state.frame;
}

export function installTimeline() {
  slider.addEventListener("input", () => {
    pause();
    go(Number(slider.value));
  });
  installStrip((t) => {
    pause();
    go(t);
  });
  on("server frame", () => state.server && update());
}
