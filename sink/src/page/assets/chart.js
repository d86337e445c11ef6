// Events in each of the last two minutes' seconds, with marks where requests failed or rules were broken.

import { byId, count } from "./dom.js";

const SECONDS = 120;
const [WIDTH, HEIGHT, MARKS] = [600, 72, 14];
const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export function drawChart(timeline, nowMs) {
  const now = Math.floor(nowMs / 1000);
  const shown = timeline.filter((one) => one.number > now - SECONDS);
  const most = Math.max(1, ...shown.map((one) => one.events));
  const step = WIDTH / SECONDS;
  const parts = [shape("line", { x1: 0, x2: WIDTH, y1: HEIGHT - MARKS + 0.5, y2: HEIGHT - MARKS + 0.5, class: "axis" })];
  for (const one of shown) {
    const x = (SECONDS - 1 - (now - one.number)) * step;
    const height = one.events === 0 ? 0 : Math.max(2, (one.events / most) * (HEIGHT - MARKS - 4));
    parts.push(shape("rect", { x: x + 0.5, width: step - 1, y: HEIGHT - MARKS - height, height, class: "bar" }));
    const middle = x + step / 2;
    if (one.failed > 0) {
      parts.push(shape("path", { d: `M${middle - 3} ${HEIGHT - 3}h6l-3 -7z`, class: "failed" }));
    }
    if (one.violations > 0) {
      const y = one.failed > 0 ? 6 : HEIGHT - 6;
      parts.push(shape("path", { d: `M${middle - 4} ${y}l4 -5l4 5l-4 5z`, class: "violation" }));
    }
  }
  byId("chart").replaceChildren(...parts);
  byId("chart-text").textContent = inWords(shown, now, most);
}

function inWords(shown, now, most) {
  const events = shown.reduce((sum, one) => sum + one.events, 0);
  if (shown.length === 0) return "No requests in the last two minutes";
  // The second that runs is not complete yet.
  const last = shown.find((one) => one.number === now - 1)?.events ?? 0;
  const failed = shown.reduce((sum, one) => sum + one.failed, 0);
  const failures = failed > 0 ? `, ${count(failed)} failed request${failed === 1 ? "" : "s"}` : "";
  return `${count(last)} events/s · peak ${count(most)}/s · ${count(events)} in two minutes${failures}`;
}
