// The details of one event or one request, beside the list.

import { byId, bytes, copyButton, count, el, get, headerList, outcomeBadge, plural, statusBadge, time } from "./dom.js";
import { noteChip, pretty } from "./pretty.js";

const panel = byId("detail");
let cameFrom = null;
let opened = 0;

export function close() {
  if (panel.hidden) return false;
  panel.hidden = true;
  document.body.classList.remove("has-detail");
  opened += 1;
  cameFrom?.focus({ preventScroll: true });
  return true;
}

async function show(view, parameters, body) {
  if (panel.hidden || !panel.contains(document.activeElement)) cameFrom = document.activeElement;
  const number = ++opened;
  const found = await get(view, parameters);
  if (number !== opened) return;
  const closing = el("button", { type: "button", class: "quiet close", click: close, "aria-label": "Close the details" }, "Close");
  const parts = found ? body(found) : [el("p", {}, "The sink does not have it any more.")];
  panel.replaceChildren(closing, ...parts.filter((part) => part !== null));
  panel.hidden = false;
  document.body.classList.add("has-detail");
  panel.scrollTop = 0;
  panel.focus({ preventScroll: true });
}

export const showEvent = (parameters) => show("event", parameters, eventBody);
export const showRequest = (n) => show("request", { n }, requestBody);

const facts = (...pairs) => el("dl", { class: "facts" },
  ...pairs.filter(([, value]) => value !== null && value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

const requestLink = (n, label = `#${count(n)}`) =>
  el("button", { type: "button", class: "link", click: () => showRequest(n) }, label);

const eventLink = (row) =>
  el("button", { type: "button", class: "link", click: () => showEvent({ n: row.n }) }, row.name || "(no name)");

/** The attempts one after the other, each with the time since the one before. */
function attempts(rows, current, badge) {
  if (rows.length < 2) return null;
  const items = rows.map((row, index) => {
    const before = rows[index - 1];
    const wait = before && row.received_ms !== null && before.received_ms !== null
      ? `${((row.received_ms - before.received_ms) / 1000).toFixed(3)} s later` : "";
    const number = row.request ?? row.n;
    return el("li", { class: row.n === current ? "current" : "" },
      `attempt ${row.attempt} `, badge(row), " ", requestLink(number), " ",
      el("span", { class: "muted" }, `${time(row.received_ms)} ${wait}`));
  });
  return el("section", {}, el("h3", {}, plural(rows.length, "attempt")), el("ol", { class: "steps" }, ...items));
}

function rules(found) {
  if (found.length === 0) return null;
  const items = found.map((one) => el("li", { class: "broken" },
    el("strong", {}, el("span", { "aria-hidden": "true" }, "◆ "), one.rule), " ", one.message,
    one.broken_by ? el("p", { class: "muted" }, `Broken by ${one.broken_by}.`) : null));
  return el("section", {}, el("h3", {}, plural(found.length, "broken rule")), el("ul", { class: "broken-list" }, ...items));
}

function eventBody({ row, raw, is_cut: isCut, notes, attempts: all, violations }) {
  const noteItems = notes.map((note) => el("li", {}, noteChip(note), " ",
    note.path.length > 0 ? el("code", {}, note.path.join(".")) : null, " ", note.text));
  const delivered = row.responded ? "the response was sent" : "the response did not reach the client in full";
  return [
    el("h2", {}, row.name || "(no name)"),
    el("p", { class: "outcome" }, outcomeBadge(row), row.details ? ` ${row.details}` : "", el("span", { class: "muted" }, ` · ${row.stored ? "stored" : "not stored"} · ${delivered}`)),
    facts(
      ["Uuid", el("span", {}, el("code", {}, row.uuid), " ", copyButton(() => row.uuid))],
      ["Distinct id", el("code", {}, row.distinct_id)],
      ["Request", el("span", {}, requestLink(row.request), ` attempt ${row.attempt} `, row.status === null ? "" : statusBadge(row))],
      ["Received", time(row.received_ms)],
      ["Size", bytes(row.size)],
    ),
    rules(violations),
    attempts(all, row.n, outcomeBadge),
    noteItems.length > 0
      ? el("section", {}, el("h3", {}, "Lifted, repaired, refused"), el("ul", { class: "notes" }, ...noteItems)) : null,
    el("section", {},
      el("h3", {}, "As received ", copyButton(() => raw, "Copy the exact bytes")),
      isCut ? el("p", { class: "muted" }, "The first megabyte of it.") : null,
      pretty(raw, notes)),
  ];
}

function requestBody(found) {
  const { row, headers, events, violations } = found;
  const items = events.map((one) => el("li", {}, outcomeBadge(one), " ", eventLink(one), " ",
    el("code", { class: "muted" }, one.distinct_id)));
  const packed = row.encoding === "identity" ? "" : `, ${bytes(row.bytes_wire)} as ${row.encoding}`;
  return [
    el("h2", {}, `Request #${count(row.n)}`),
    el("p", { class: "outcome" }, statusBadge(row), row.response ? el("span", { class: "muted" }, ` scripted: ${row.response}`) : ""),
    facts(
      ["Request id", el("code", {}, row.request_id)],
      ["Attempt", String(row.attempt)],
      ["Received", `${time(row.received_ms)} on connection ${found.connection}`],
      ["Body", `${bytes(row.bytes_raw)}${packed}`],
      ["Path", el("code", {}, found.path)],
      ["created_at", el("code", {}, found.created_at)],
      ["historical_migration", found.historical_migration ? "true" : ""],
    ),
    rules(violations),
    attempts(found.attempts, row.n, statusBadge),
    el("section", {}, el("h3", {}, plural(row.events, "event")),
      row.events > items.length ? el("p", { class: "muted" }, `The first ${count(items.length)} that the sink still has:`) : null,
      el("ul", { class: "plain" }, ...items)),
    el("section", {}, el("h3", {}, "Headers"), headerList(headers)),
  ];
}
