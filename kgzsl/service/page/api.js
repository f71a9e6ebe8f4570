// Requests to the service this page came from, and its problems.

import { byId } from "./dom.js";

const STORED = "kgzsl-key";

export class Problem extends Error {
  constructor({ title, detail, status, received, remedy }) {
    super(detail);
    Object.assign(this, { title, detail, status, received, remedy });
  }
}

let asking = null;

/** Ask the person for the API key; the promise gives whether there is one now. */
function askForKey(wrong) {
  asking ??= new Promise((resolve) => {
    const [dialog, form, input] = [byId("key-dialog"), byId("key-form"), byId("key")];
    byId("key-wrong").textContent = wrong ? "That was not the key." : "";
    const end = (given) => {
      asking = null;
      form.onsubmit = dialog.onclose = byId("key-cancel").onclick = null;
      if (dialog.open) dialog.close();
      resolve(given);
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(STORED, input.value);
      input.value = "";
      end(true);
    };
    byId("key-cancel").onclick = dialog.onclose = () => end(false);
    dialog.showModal();
  });
  return asking;
}

async function problemOf(response) {
  const fallback = { title: "The service failed", detail: `It answered ${response.status} ${response.statusText}`, status: response.status };
  try {
    return new Problem({ ...fallback, ...(await response.json()) });
  } catch {
    return new Problem(fallback);
  }
}

/** Ask the service; the promise gives its JSON, or throws a Problem. */
export async function ask(path, { method = "GET", json, form, signal } = {}) {
  for (let turn = 0; ; turn += 1) {
    const headers = {};
    const key = sessionStorage.getItem(STORED);
    if (key) headers.Authorization = `Bearer ${key}`;
    if (json) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(`v1/${path}`, { method, headers, body: json ? JSON.stringify(json) : form, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem({ title: "The service does not answer", detail: "This page could not reach it.", remedy: "See that kgzsl serve still runs, then try again." });
    }
    if (response.ok) return response.status === 204 ? null : response.json();
    if (response.status === 401 && (sessionStorage.getItem(STORED) !== key || (await askForKey(Boolean(key))))) continue;
    if (response.status === 429 && turn < 4) {
      await new Promise((wake) => setTimeout(wake, 1000 * Number(response.headers.get("Retry-After") ?? 1)));
      continue;
    }
    throw await problemOf(response);
  }
}

const part = encodeURIComponent;
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, v]) => v !== undefined)).toString();

export const graphs = () => ask("graphs");
export const bundles = () => ask("bundles");
export const search = (graph, q, mode, limit, signal) => ask(`graphs/${part(graph)}/search?${query({ q, mode, limit })}`, { signal });
export const neighbours = (graph, id, limit, signal) => ask(`graphs/${part(graph)}/nodes/${part(id)}/neighbours?${query({ limit })}`, { signal });
export const classes = (bundle, values) => ask(`bundles/${part(bundle)}/classes?${query(values)}`);
export const added = async (bundle) => (await ask(`bundles/${part(bundle)}/classes/added`)).added;
export const add = async (bundle, wanted) => (await ask(`bundles/${part(bundle)}/classes`, { method: "POST", json: { classes: wanted } })).added;
export const remove = (bundle, id) => ask(`bundles/${part(bundle)}/classes/added/${part(id)}`, { method: "DELETE" });

const ASKED = 50; // answers of a picture; the first few are shown, and added classes wherever they stand

/** What a bundle sees in a picture. */
export async function predict(bundle, file, candidates, signal) {
  const form = new FormData();
  form.append("files", file, file.name || "pasted.png");
  for (const [name, value] of Object.entries({ top: ASKED, candidates, explain: "true" })) form.append(name, value);
  const { predictions } = await ask(`bundles/${part(bundle)}/predict/images`, { method: "POST", form, signal });
  const [first] = predictions;
  if (first.problem) throw new Problem({ title: "No picture", detail: first.problem, remedy: "Take another file." });
  return first;
}
