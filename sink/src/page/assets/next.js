// The form that scripts the next responses.

import { byId, count, el, host, plural, post } from "./dom.js";

const form = byId("next-form");
const fields = () => Object.fromEntries(new FormData(form));

/** The step of a script that the form describes. */
function step() {
  const { kind, status, after, event, delay, cut, times } = fields();
  const repeated = { times: Number(times) };
  switch (kind) {
    case "status":
      return { status: Number(status), ...(after === "" ? {} : { headers: { "Retry-After": after } }), ...repeated };
    case "delay":
      return { delay_ms: Number(delay), ...repeated };
    case "cut":
      return { close: cut, ...repeated };
    default: {
      const verdict = { result: kind, details: "scripted" };
      // Only a request that has such an event uses the step up.
      return event === "" ? { verdicts: [verdict], ...repeated } : { when: { event }, verdicts: { [event]: verdict, "*": "ok" }, ...repeated };
    }
  }
}

function update() {
  const { kind } = fields();
  for (const label of form.querySelectorAll("[data-for]")) {
    label.hidden = !label.dataset.for.split(" ").includes(kind);
    for (const field of label.querySelectorAll("input, select")) field.disabled = label.hidden;
  }
  const script = JSON.stringify({ steps: [step()] }).replaceAll("'", "\\u0027");
  byId("next-command").textContent = `curl -d '${script}' ${host}/_next`;
}

function say(text, isError = false) {
  const result = byId("next-result");
  result.textContent = text;
  result.className = isError ? "error" : "";
}

/** What the sink will do with the next requests. */
export function drawNext(next, chaos) {
  const words = next.map(([what, times]) => `${what || "the default response"} — ${times === 0 ? "every request" : plural(times, "request")}`);
  if (chaos) words.push("otherwise random failures, as --chaos says");
  byId("next-state").textContent = words.length === 0 ? "The sink responds as the real server does" : words[0] + (words.length > 1 ? ` and ${count(words.length - 1)} more` : "");
  byId("next").classList.toggle("scripted", words.length > 0);
  byId("next-steps").replaceChildren(...words.map((text) => el("li", {}, text)));
}

export function startNext(refresh) {
  form.addEventListener("input", update);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post("_next", JSON.stringify({ steps: [step()] }));
      say("Scripted. It is used before what is left of the script.");
      refresh();
    } catch (error) {
      say(error.message, true);
    }
  });
  byId("next-stop").addEventListener("click", async () => {
    try {
      await post("_script", "{}");
      say("The sink responds as the real server does.");
      refresh();
    } catch (error) {
      say(error.message, true);
    }
  });
  update();
}
