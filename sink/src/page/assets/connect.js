// How to send an event to the sink, in each language.

import { copyButton, el, get, host } from "./dom.js";

let snippets = [];
let language = "C";

export async function loadSnippets() {
  snippets = (await get("snippets")).snippets;
}

/** The snippets, with one language chosen; `heading` says why they are shown. */
export function connectView(heading, words) {
  const body = el("div", { class: "snippet" });
  const choose = (name) => {
    language = name;
    const { before, code } = snippets.find((one) => one.language === name);
    const text = code.replaceAll("HOST", host);
    body.replaceChildren(
      el("p", {}, el("code", {}, before), " ", copyButton(() => before)),
      el("pre", { tabindex: "0", "aria-label": `A program in ${name}` }, el("code", {}, text)),
      copyButton(() => text, "Copy the program"));
    for (const button of buttons.children) button.setAttribute("aria-pressed", button.textContent === name);
  };
  const buttons = el("div", { class: "chips", role: "group", "aria-label": "Language" },
    ...snippets.map((one) => el("button", { type: "button", click: () => choose(one.language) }, one.language)));
  const view = el("div", { class: "empty connect" }, el("h2", {}, heading), el("p", {}, words), buttons, body);
  if (snippets.length > 0) choose(language);
  return view;
}
