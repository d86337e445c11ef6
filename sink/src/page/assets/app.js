// The live page: asks the sink what changed, twice a second, and shows it until it is paused.

import { drawChart } from "./chart.js";
import { connectView, loadSnippets } from "./connect.js";
import { close, showEvent, showRequest } from "./detail.js";
import { base, byId, bytes, copy, count, el, get, host, outcomeBadge, plural, post, setClock, statusBadge, time, verdictBadge } from "./dom.js";
import { drawFlags, startFlags } from "./flags.js";
import { List } from "./list.js";
import { Matches } from "./matches.js";
import { drawNext, startNext } from "./next.js";
import { drawViolations } from "./violations.js";

const POLL_MS = 500;
const HIDDEN_MS = 5000;
const VIEWS = ["events", "requests", "violations", "flags", "connect"];

let shown = null; // the state that is on the page
let isPaused = false;
let view = "events";
let timer;

// ---- lists

function eventRow(element, row) {
  const isRepeated = row.attempt > 1 ? ` · attempt ${row.attempt}` : "";
  element.append(
    outcomeBadge(row),
    el("span", { class: "name" }, row.name || "(no name)"),
    el("span", { class: "mono id" }, row.distinct_id),
    el("span", { class: "mono muted uuid" }, row.uuid),
    el("span", { class: "muted place" }, `#${count(row.request)}${isRepeated}`),
    el("span", { class: "muted time" }, time(row.received_ms)));
}

function requestRow(element, row) {
  const verdicts = Object.entries(row.verdicts).map(([verdict, times]) => {
    const badge = verdictBadge(verdict);
    badge.append(` ${count(times)}`);
    return badge;
  });
  element.append(
    statusBadge(row),
    el("span", { class: "name" }, `#${count(row.n)} `, el("span", { class: "mono muted" }, row.request_id)),
    el("span", { class: row.attempt > 1 ? "attempt again" : "attempt" }, `attempt ${row.attempt}`),
    el("span", { class: "verdicts" }, `${plural(row.events, "event")} `, ...verdicts),
    el("span", { class: "muted size" }, row.encoding === "identity" ? bytes(row.bytes_raw) : `${bytes(row.bytes_wire)} ${row.encoding}`),
    el("span", { class: "muted time" }, time(row.received_ms)));
}

function makeList(name, fill, open) {
  const matches = new Matches(name);
  const list = new List(byId(`list-${name}`), matches, fill, open);
  const form = byId(`filters-${name}`);
  let typed;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      matches.setFilter(Object.fromEntries(new FormData(form)));
      list.restart();
      advance(name);
    }, 120);
  });
  return { matches, list };
}

const lists = {
  events: makeList("events", eventRow, (n) => showEvent({ n }).catch(report)),
  requests: makeList("requests", requestRow, (n) => showRequest(n).catch(report)),
};

async function advance(name) {
  const { matches, list } = lists[name];
  if (!shown) return;
  const [first, last] = shown[name];
  try {
    await matches.advance(first, last, () => {
      list.schedule();
      drawFound(name);
    });
  } catch (error) {
    report(error);
  }
  list.schedule();
  drawFound(name);
}

/** How many items fit the filter, and what is shown where there are none. */
function drawFound(name) {
  const { matches } = lists[name];
  const [first, last] = shown[name];
  const total = last - first + 1;
  const searching = matches.isDone ? "" : " · searching";
  byId(`found-${name}`).textContent = matches.isFiltered ? `${count(matches.length)} of ${count(total)}${searching}` : count(total);
  const parent = byId(`view-${name}`);
  const isEmpty = matches.length === 0 && matches.isDone;
  const kind = !isEmpty ? "" : matches.isFiltered ? "filtered" : "new";
  if (parent.dataset.empty === kind) return;
  parent.dataset.empty = kind;
  parent.querySelector(".empty")?.remove();
  if (kind === "filtered") {
    parent.append(el("div", { class: "empty" }, el("h2", {}, `None of the ${name} fits`),
      el("p", {}, "Search is for text as it was sent; capitals make no difference."),
      el("button", { type: "button", click: () => { byId(`filters-${name}`).reset(); byId(`filters-${name}`).dispatchEvent(new Event("input")); } }, "Show all")));
  } else if (kind === "new") {
    parent.append(connectView(`No ${name} yet`, "Set the host of your client to this address. What it sends is shown here as it arrives."));
  }
}

// ---- what the sink says

function report(error) {
  const live = byId("live");
  live.textContent = error instanceof TypeError ? "The sink does not respond" : error.message;
  live.className = "live lost";
}

function drawLive(state) {
  const live = byId("live");
  const fresh = isPaused && shown ? Math.max(0, state.summary.events - shown.summary.events) : 0;
  live.className = isPaused ? "live paused" : "live";
  live.textContent = isPaused ? `Paused · ${count(fresh)} new` : "Live";
}

function draw(state) {
  if (state.epoch !== shown?.epoch) {
    for (const { matches, list } of Object.values(lists)) {
      matches.reset();
      list.restart();
    }
    if (shown) close();
  }
  const { summary } = state;
  const broken = Object.values(summary.violations).reduce((sum, times) => sum + times, 0);
  const before = shown && shown.epoch === state.epoch ? shown : { broken: -1, flags: -1 };
  shown = { ...state, broken };
  byId("count-requests").textContent = count(summary.requests);
  byId("count-events").textContent = count(summary.events);
  byId("count-accepted").textContent = count(summary.accepted);
  const flags = summary.flag_requests + summary.definition_requests + summary.remote_config_requests;
  byId("count-flags-box").hidden = flags === 0;
  byId("count-flags").textContent = count(flags);
  byId("count-violations").textContent = broken > 0 ? `◆ ${count(broken)}` : "0";
  byId("count-violations-box").classList.toggle("broken", broken > 0);
  byId("tab-violations").textContent = broken > 0 ? `Violations (${count(broken)})` : "Violations";
  drawChart(state.timeline, state.now_ms);
  if (broken !== before.broken) drawViolations().catch(report);
  if (state.flags !== before.flags) drawFlags().catch(report);
  advance("events");
  advance("requests");
}

async function poll() {
  clearTimeout(timer);
  try {
    const state = await get("state");
    setClock(state.now_ms);
    drawNext(state.next, state.chaos);
    if (!isPaused) draw(state);
    drawLive(state);
  } catch (error) {
    report(error);
  }
  clearTimeout(timer);
  timer = setTimeout(poll, document.hidden ? HIDDEN_MS : POLL_MS);
}

// ---- what the reader does

function showView(name, isFocused = false) {
  view = name;
  for (const other of VIEWS) {
    const tab = byId(`tab-${other}`);
    const isShown = other === name;
    tab.setAttribute("aria-selected", isShown);
    tab.tabIndex = isShown ? 0 : -1;
    byId(`view-${other}`).hidden = !isShown;
    if (isShown && isFocused) tab.focus();
  }
  byId("panel").setAttribute("aria-labelledby", `tab-${name}`);
  lists[name]?.list.schedule();
}

function pause() {
  isPaused = !isPaused;
  const button = byId("pause");
  button.setAttribute("aria-pressed", isPaused);
  button.textContent = isPaused ? "Resume" : "Pause";
  poll();
}

async function clear() {
  try {
    await post("_clear");
  } catch (error) {
    report(error);
    return;
  }
  if (isPaused) pause();
  else poll();
}

const KEYS = {
  p: pause,
  n: () => { byId("next").open = true; byId("next-form").querySelector("input:checked").focus(); },
  "/": () => byId(`filters-${view}`)?.elements.text.focus(),
};

function key(event) {
  if (event.key === "Escape") {
    const field = event.target.closest?.(".filters");
    if (field) lists[view].list.scroller.focus();
    else close();
    return;
  }
  const isTyping = event.target.matches?.("input, select, textarea");
  if (isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  const number = "12345".indexOf(event.key);
  if (number >= 0) showView(VIEWS[number], true);
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
}

function tabKey(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  showView(VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length], true);
}

async function start() {
  byId("address").textContent = host;
  document.title = base ? `phc-sink ${base}` : "phc-sink";
  byId("copy-address").addEventListener("click", (event) => copy(event.currentTarget, host));
  byId("pause").addEventListener("click", pause);
  byId("clear").addEventListener("click", clear);
  for (const name of VIEWS) byId(`tab-${name}`).addEventListener("click", () => showView(name));
  byId("tab-events").parentElement.addEventListener("keydown", tabKey);
  document.addEventListener("keydown", key);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
  startNext(poll);
  startFlags(poll);
  await loadSnippets().catch(report);
  byId("view-connect").append(connectView("Send events here", "Set the host of your client to this address, with any project key."));
  poll();
}

start();
