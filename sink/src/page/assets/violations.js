// Every broken rule with its text, and the newest places where it was broken.

import { byId, count, el, get, plural, redraw } from "./dom.js";
import { showEvent, showRequest } from "./detail.js";

const view = byId("view-violations");

export async function drawViolations() {
  const { rules } = await get("violations");
  const isFirst = view.children.length === 0 || view.querySelector(".empty") !== null;
  redraw(view, (open) => (rules.length === 0 ? [nothing()] : rules.map((rule, index) => group(rule, (isFirst && index === 0) || open.has(rule.rule)))));
}

function nothing() {
  return el("div", { class: "empty" }, el("h2", {}, "No rule is broken"),
    el("p", {}, "Every request is checked against the contract of Capture v1. What does not fit is explained here."));
}

// What the server does, by the last column of the table of rules; any other value is a status.
const CONSEQUENCES = { "": "It is recorded only: the server takes the request.", drop: "The server drops the event." };

function group(rule, isOpen) {
  const consequence = CONSEQUENCES[rule.status] ?? `The server refuses the request with ${rule.status}.`;
  const items = rule.newest.map((one) => el("li", {}, one.message, " ",
    one.request === 0 ? "in a request of feature flags" :
      el("button", { type: "button", class: "link", click: () => showRequest(one.request) }, `request #${count(one.request)}`),
    one.uuid ? " " : null,
    one.uuid ? el("button", { type: "button", class: "link", click: () => showEvent({ uuid: one.uuid }) }, "its event") : null));
  return el("details", { class: "rule", "data-id": rule.rule, open: isOpen },
    el("summary", {}, el("span", { class: "sign", "aria-hidden": "true" }, "◆"), el("strong", {}, rule.rule),
      el("span", { class: "muted" }, ` ${plural(rule.count, "time")}`)),
    el("p", {}, rule.broken_by ? `Broken by ${rule.broken_by}. ` : "", consequence),
    el("ul", {}, ...items),
    rule.count > items.length ? el("p", { class: "muted" }, `The newest ${items.length} are shown.`) : null);
}
