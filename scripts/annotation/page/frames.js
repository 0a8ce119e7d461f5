// The frame that is shown: its picture and its label map; what is saved, and in which order.
import { api } from "./api.js";
import { encodeGray } from "./png.js";
import { attempt, emit, inRanges, isGiven, notice, state } from "./state.js";

const MOST_PICTURES = 80; // ImageBitmaps that are kept
const RETRIED = new Set([0, 429, 503]); // status: no answer, too many requests, busy
const pictures = new Map(); // frame -> promise of its ImageBitmap
const unsaved = new Map(); // frame -> label map, or null: no longer given
let saving = null;
let wanted = 0;
let edits = 0; // a mask that was asked for before an edit must not replace it

function picture(t) {
  const kept = pictures.get(t);
  if (kept) return kept;
  const promise = api.frame(t);
  promise.catch(() => pictures.delete(t));
  pictures.set(t, promise);
  if (pictures.size > MOST_PICTURES) {
    const oldest = pictures.keys().next().value;
    pictures.get(oldest).then((bitmap) => bitmap !== state.image && bitmap.close(), () => {});
    pictures.delete(oldest);
  }
  return promise;
}

async function maskOf(t) {
  const { width, height, predicted, stale } = state.server;
  const known = isGiven(t) || inRanges(predicted, t) || inRanges(stale, t);
  return unsaved.get(t)?.slice() ?? (known ? await api.mask(t) : null) ?? new Uint8Array(width * height);
}

/** Shows frame t. If another frame is wanted before it has come, nothing is shown. True if it was shown. */
export async function show(t) {
  const { frames } = state.server;
  t = Math.max(0, Math.min(frames - 1, Math.round(t)));
  const turn = ++wanted;
  const known = edits;
  if (t !== state.frame) {
    state.frame = t;
    state.labels = null; // not paintable until it has come
    emit("frame");
  }
  const loaded = await attempt(async () => {
    const [image, labels] = await Promise.all([picture(t), maskOf(t)]);
    if (turn !== wanted || state.stroking || (edits !== known && state.labels)) return;
    state.image = image;
    state.labels = labels;
    emit("labels");
  });
  if (t + 1 < frames) picture(t + 1).catch(() => {});
  return loaded && turn === wanted;
}

/** Reads the shown mask again, unless it is being painted. */
export function reload() {
  if (!state.stroking && !unsaved.has(state.frame)) show(state.frame);
}

/** Stores `labels` as the given mask of frame t (null: the frame is no longer given). The last order counts. */
export function save(t, labels) {
  if (labels && !labels.some(Boolean)) {
    notice("Objects that a given mask does not show are predicted, so an empty one says nothing. This frame is no longer given.");
    labels = null;
  }
  edits++;
  unsaved.set(t, labels?.slice() ?? null);
  if (labels && !isGiven(t)) state.server.given.push(t);
  saving ??= saveAll().finally(() => {
    saving = null;
  });
  return saving;
}

async function saveAll() {
  const { width, height } = state.server;
  while (unsaved.size) {
    const [t, labels] = unsaved.entries().next().value;
    let stored = true;
    try {
      if (labels) await api.putMask(t, await encodeGray(labels, width, height));
      else await api.deleteMask(t);
    } catch (error) {
      notice(error.message, true);
      stored = false;
      if (RETRIED.has(error.status)) {
        await new Promise((next) => setTimeout(next, 1000));
        continue; // nothing painted is lost while the server does not answer
      }
    }
    if (unsaved.get(t) === labels) unsaved.delete(t);
    if (t === state.frame && (!stored || !labels)) reload();
  }
}

/** Resolves when everything painted is stored. */
export const saved = () => saving ?? Promise.resolve();

addEventListener("beforeunload", (event) => {
  if (unsaved.size) event.preventDefault(); // the browser asks whether to leave
});
