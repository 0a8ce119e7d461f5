// Undo and redo: the label maps before and after each change, with the frame they belong to.
import { save, show } from "./frames.js";
import { emit, isGiven, isLocked, mayWrite, notice, state } from "./state.js";

const MOST_STEPS = 60;
const done = [];
const undone = [];

/** Stores the shown label map, which was `before` until now; one step of undo. */
export function commit(before, wasGiven = isGiven()) {
  const after = state.labels.slice();
  if (before.every((label, i) => label === after[i])) return;
  done.push({ frame: state.frame, before, after, wasGiven });
  if (done.length > MOST_STEPS) done.shift();
  undone.length = 0;
  save(state.frame, after);
  emit("labels");
  emit("masks");
}

async function move(from, to, labelsOf) {
  if (state.stroking || !mayWrite()) return;
  const step = from.at(-1);
  if (!step) {
    notice("There is nothing to undo or redo.");
    return;
  }
  if (isLocked(step.frame)) {
    notice(`Frame ${step.frame} is locked. Unlock it first.`, true);
    return;
  }
  if (step.frame !== state.frame && !(await show(step.frame))) return;
  from.pop();
  to.push(step);
  const labels = labelsOf(step);
  state.labels = labels.slice();
  save(step.frame, labels === step.before && !step.wasGiven ? null : labels);
  emit("labels");
}

export const undo = () => move(done, undone, (step) => step.before);
export const redo = () => move(undone, done, (step) => step.after);
