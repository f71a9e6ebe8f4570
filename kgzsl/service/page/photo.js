// The photograph: dropped anywhere on the page, chosen, or pasted. It is sent as it is.

import { byId, say } from "./dom.js";

const kilobytes = (bytes) => (bytes < 1024 ** 2 ? `${Math.max(1, Math.round(bytes / 1024))} kB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`);

/** Make the drop zone work; `taken(file)` is called with every picture, `refused(problem)` with what is none. */
export function makePhoto(taken, refused) {
  const [drop, input, preview, label, name] = ["drop", "file", "preview", "drop-label", "file-name"].map(byId);
  let url = null;

  function take(file) {
    if (!file) return;
    if (!file.type.startsWith("image/")) {
      refused({ title: "A photograph is needed", detail: "What was given is no picture.", received: `${file.name || "a file"} (${file.type || "of no known type"})`, remedy: "Take a JPEG, PNG or WebP file." });
      return;
    }
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(file);
    preview.src = url;
    preview.alt = `Your photograph, ${file.name || "pasted"}`;
    preview.hidden = false;
    preview.onerror = () => (preview.hidden = true); // the service says what is wrong with it
    preview.onload = () => (name.textContent = `${file.name || "pasted"} · ${preview.naturalWidth} × ${preview.naturalHeight} · ${kilobytes(file.size)}`);
    label.querySelector("b").textContent = "Another photograph";
    drop.classList.add("full");
    name.textContent = file.name || "pasted";
    say(`${file.name || "Photograph"} taken`);
    taken(file);
  }

  input.addEventListener("change", () => {
    take(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  let depth = 0; // dragenter and dragleave come for every element passed
  const over = (by) => {
    depth = Math.max(0, depth + by);
    drop.classList.toggle("over", depth > 0);
  };
  const files = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragenter", (event) => files(event) && over(1));
  window.addEventListener("dragleave", (event) => files(event) && over(-1));
  window.addEventListener("dragover", (event) => files(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    over(-depth);
    take(event.dataTransfer.files[0]);
  });
  window.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (!file) return; // text, for a field
    event.preventDefault();
    take(file);
  });
}
