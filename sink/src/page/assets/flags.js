// Feature flags: what the sink serves, which can be changed here, and the newest requests for it.

import { byId, count, el, get, headerList, host, plural, post, redraw, statusBadge, time } from "./dom.js";
import { pretty } from "./pretty.js";

const list = byId("flag-requests");
const titles = { flags: "Values", definitions: "Definitions", remote_config: "Remote config" };
const served = {
  values: { form: byId("flag-values"), path: "_flags", said: "Served from now on." },
  definitions: { form: byId("flag-definitions"), path: "_definitions", said: "Served from now on, under another ETag." },
};

function fill(form, text) {
  const field = form.elements.text;
  field.value = text;
  form.dataset.shown = field.value; // with the ends of lines that fields have
}

/** Puts into a form what is served, unless the reader has changed what stands there. */
function show(form, text, isCut) {
  const field = form.elements.text;
  const isTouched = field.value !== (form.dataset.shown ?? "");
  if (!isTouched && form.dataset.served !== text) fill(form, text);
  form.dataset.served = text;
  // A part of it must not take the place of the whole.
  field.readOnly = isCut;
  form.elements.serve.disabled = isCut;
}

export async function drawFlags() {
  const found = await get("served");
  show(served.values.form, found.values, found.is_cut);
  show(served.definitions.form, found.definitions, found.is_cut);
  byId("flag-etag").textContent = found.etag;
  byId("flag-cut").hidden = !found.is_cut;
  redraw(list, (open) => [
    ...(found.requests.length === 0 ? [nothing()] : found.requests.map((one) => request(one, open))),
    found.kept > found.requests.length ? el("p", { class: "muted" }, `The newest ${count(found.requests.length)} of ${count(found.kept)} are shown.`) : "",
  ]);
}

function nothing() {
  return el("p", { class: "muted" }, "No client has asked for flags yet. Requests for values (POST /flags), for definitions ",
    "(GET /flags/definitions) and for remote configs are shown here.");
}

function asked(one) {
  if (one.endpoint === "definitions") return one.headers["if-none-match"] ? `has ${one.headers["if-none-match"]}` : "has none yet";
  if (one.endpoint === "remote_config") return one.path.match(/\/([^/]*)\/remote_config\/*$/)?.[1] ?? "";
  return Array.isArray(one.keys) ? plural(one.keys.length, "flag") : "all flags";
}

function request(one, open) {
  const id = `${one.endpoint} ${one.n}`;
  return el("details", { class: "flag-request", "data-id": id, open: open.has(id) },
    el("summary", {}, statusBadge({ status: one.status, cut: null }), " ",
      el("strong", {}, `${titles[one.endpoint]} #${count(one.n)}`),
      one.distinct_id === null ? null : el("span", { class: "mono" }, ` ${one.distinct_id}`),
      el("span", { class: "muted" }, ` · ${asked(one)} · ${time(one.received_ms)}`)),
    el("p", {}, el("code", {}, one.query ? `${one.path}?${one.query}` : one.path), ` on connection ${one.connection}`),
    one.body === "" ? null : pretty(one.body, [], "The body as JSON"),
    one.is_cut ? el("p", { class: "muted" }, "The beginning of it.") : null,
    headerList(one.headers));
}

function say(form, text, isError = false) {
  const result = form.querySelector("[role=status]");
  result.textContent = text;
  result.className = isError ? "error" : "";
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function startFlags(refresh) {
  byId("flag-command").textContent = `curl -d '{"new-checkout": true, "layout": "compact"}' ${host}/_flags`;
  for (const { form, path, said } of Object.values(served)) {
    const field = form.elements.text;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await post(path, field.value);
        form.dataset.shown = field.value;
        say(form, isJson(field.value) ? said : `${said} They are not JSON: no client can read them.`);
        refresh();
      } catch (error) {
        say(form, error.message, true);
      }
    });
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      fill(form, form.dataset.served ?? "");
      say(form, "");
    });
  }
}
