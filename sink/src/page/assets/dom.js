// Elements and formats. What clients sent becomes text only: no function here reads HTML.

/** An element with attributes and children; a text is a child like any other. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** The address of the namespace, without a slash at its end. */
export const base = location.pathname.replace(/\/$/, "");
export const host = location.origin + base;

export async function get(view, parameters = {}) {
  const response = await fetch(`${base}/_page/${view}?${new URLSearchParams(parameters)}`);
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).trim()}`);
  return response.json();
}

export async function post(name, body = "") {
  const response = await fetch(`${base}/${name}`, { method: "POST", body });
  if (!response.ok) throw new Error((await response.text()).trim());
}

const numbers = new Intl.NumberFormat("en");
export const count = (value) => numbers.format(value);

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  return value < 1e6 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

let clockOffset = 0;
/** The sink counts from its start; the page shows the time of day. */
export const setClock = (nowMs) => { clockOffset = Date.now() - nowMs; };
export function time(ms) {
  if (ms === null || ms === undefined) return "";
  const at = new Date(clockOffset + ms);
  const two = (value) => String(value).padStart(2, "0");
  const text = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${text}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

// Every verdict has a sign and a word of its own: colour is never all that distinguishes two.
const SIGNS = { ok: "✓", warning: "!", retry: "↻", drop: "✕" };

/** A verdict as a badge. */
export function verdictBadge(verdict) {
  const known = Object.hasOwn(SIGNS, verdict);
  const kind = known ? verdict : verdict === "" ? "none" : "other";
  const sign = known ? SIGNS[verdict] : verdict === "" ? "–" : "?";
  const word = verdict === "" ? "no verdict" : verdict;
  return el("span", { class: `badge ${kind}` }, el("span", { class: "sign", "aria-hidden": "true" }, sign), word);
}

const CUT = {
  before_read: "cut, nothing stored", before_response: "cut before response",
  after_headers: "cut after headers", mid_body: "cut in body",
};

/** The response to a request as a badge. */
export function statusBadge(row) {
  const isCut = row.cut !== null;
  const isGood = !isCut && row.status >= 200 && row.status < 300;
  const again = [408, 429, 500, 502, 503, 504].includes(row.status);
  const kind = isGood ? "ok" : isCut || again ? "retry" : "drop";
  const sign = isGood ? "✓" : isCut ? "✂" : again ? "↻" : "✕";
  const words = isCut ? CUT[row.cut] ?? "cut" : String(row.status);
  return el("span", { class: `badge ${kind}` }, el("span", { class: "sign", "aria-hidden": "true" }, sign), words);
}

/** What became of an event in one request: its verdict, or the response that has no verdicts. */
export function outcomeBadge(row) {
  const isWithout = row.verdict === "" && row.status !== null && (row.cut !== null || row.status >= 300);
  return isWithout ? statusBadge(row) : verdictBadge(row.verdict);
}

/** The headers of a request. */
export const headerList = (headers) => el("dl", { class: "facts headers" },
  ...Object.entries(headers).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, el("code", {}, value))]));

/**
 * Replaces what a view has by what `make` returns for the ids (`data-id`) of its open `details`. A reader who is in the
 * view keeps their place.
 */
export function redraw(view, make) {
  const open = new Set([...view.querySelectorAll("details[open]")].map((details) => details.dataset.id));
  const focused = view.contains(document.activeElement) && document.activeElement.closest("details")?.dataset.id;
  view.replaceChildren(...make(open));
  if (focused) view.querySelector(`details[data-id="${CSS.escape(focused)}"] summary`)?.focus({ preventScroll: true });
}

export const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

/** A button that copies a text and says so. */
export function copyButton(text, label = "Copy") {
  return el("button", { type: "button", class: "quiet", click: (event) => copy(event.currentTarget, text()) }, label);
}

export async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it by hand";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}
