// Requests to the server, below the address of the page, and its stream of events.

import { emit } from "./state.js";

// A new id at each load: the server lets one tab write.
const TAB = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The response to one request; throws ServerError with the server's own line if it refuses. */
async function request(method, path, body) {
  const headers = { "X-Tab": TAB };
  if (body instanceof Uint8Array) headers["Content-Type"] = "image/png";
  else if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`api/${path}`, { method, headers, body, cache: "no-store" });
  } catch {
    throw new ServerError(0, "The server does not answer. Is scripts/annotate.py still running?");
  }
  if (response.ok) {
    if (method !== "GET") emit("written");
    return response;
  }
  const refused = await response.json().catch(() => ({}));
  throw new ServerError(response.status, refused.error ?? `The server answered with status ${response.status}.`);
}

const json = async (method, path, body) => (await request(method, path, body)).json();
const png = async (method, path, body) => grayPixels(await (await request(method, path, body)).blob());

/** The values of an 8-bit gray PNG; nothing is smoothed or converted. */
async function grayPixels(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const gray = new Uint8Array(bitmap.width * bitmap.height);
  for (let i = 0; i < gray.length; i++) gray[i] = pixels[4 * i];
  return gray;
}

export const api = {
  state: () => json("GET", "state"),
  async frame(t) {
    return createImageBitmap(await (await request("GET", `frame/${t}.jpg`)).blob());
  },
  /** The label map of frame t, or null if it has none. */
  async mask(t) {
    try {
      return await png("GET", `mask/${t}.png`);
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  },
  putMask: (t, bytes) => request("POST", `mask/${t}`, bytes),
  deleteMask: (t) => request("DELETE", `mask/${t}`),
  grabcut: (t, order) => png("POST", `grabcut/${t}`, order),
  putObject: (object) => request("POST", "objects", object),
  deleteObject: (number) => request("DELETE", `objects/${number}`),
  lock: (t, locked) => request("POST", `lock/${t}`, { locked }),
  propagate: (direction, from) => request("POST", "propagate", { direction, from }),
  takeOver: () => request("POST", "writer"),
  cancel: () => request("POST", "cancel", {}),
  bank: (bank) => request("POST", "bank", bank),
  memory: (t) => json("GET", `memory/${t}`),
  reads: (t, x, y) => json("GET", `reads/${t}?x=${x}&y=${y}`),
  export: (kinds) => json("POST", "export", { kinds }),
};

/** Calls handlers[name](data) for each event; `opened` whenever the stream is open, again after a break too. */
export function listen(handlers, opened, broken) {
  const source = new EventSource(`api/events?tab=${TAB}`);
  for (const [name, handler] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handler(JSON.parse(event.data || "null")));
  }
  source.onopen = opened;
  source.onerror = broken;
  addEventListener("pagehide", () => source.close());
}
