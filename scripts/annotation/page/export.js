// Export: the server writes the files into the output folder, where segment_video.py would write them.
import { api } from "./api.js";
import { saved } from "./frames.js";
import { attempt, element, make, mayWrite } from "./state.js";

export async function exportFiles() {
  if (!mayWrite()) return;
  const kinds = [...document.querySelectorAll("#export-form input:checked")].map((box) => box.value);
  const status = element("export-status");
  if (!kinds.length) {
    status.textContent = "Choose at least one kind of file.";
    return;
  }
  const button = document.querySelector("[data-command=export]");
  button.disabled = true;
  status.textContent = "Writing …";
  element("export-files").replaceChildren();
  const written = await attempt(async () => {
    await saved();
    const { files, folder, note } = await api.export(kinds);
    status.textContent = `${files.length} files in ${folder}.${note ? ` ${note}` : ""}`;
    const rows = files.slice(0, 12).map((name) => make("li", { textContent: name }));
    if (files.length > rows.length) rows.push(make("li", { textContent: `… and ${files.length - rows.length} more` }));
    element("export-files").replaceChildren(...rows);
  });
  if (!written) status.textContent = "Nothing was written.";
  button.disabled = false;
}
