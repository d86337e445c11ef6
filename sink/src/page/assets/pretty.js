// JSON as it was received, laid out on lines. Every token keeps its exact text: a large number is not rounded and a
// repeated key is not lost. Notes are put behind the value that their path leads to.

import { el } from "./dom.js";

const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/gs;
/** Tokens that are laid out; what follows is shown as it is. */
const MAX_TOKENS = 20000;

const LABELS = { lifted: "↥ lifted", repaired: "✎ repaired", refused: "✕ refused" };

export function noteChip(note) {
  return el("span", { class: `note ${note.kind}`, title: note.text }, LABELS[note.kind] ?? note.kind);
}

/** The text as an element; `notes` have a `path` each, and `label` says what the text is. */
export function pretty(text, notes, label = "The event as JSON") {
  const byPath = new Map(notes.map((note) => [note.path.join("\u0000"), note]));
  const out = el("pre", { class: "json", tabindex: "0", "aria-label": label });
  const path = []; // of each open container: {key, position}
  let line = el("span", { class: "line" });
  let isKey = false;
  let tokens = 0;
  const write = (kind, token) => line.append(el("span", { class: kind }, token));
  const endLine = (depth) => {
    out.append(line, "\n");
    line = el("span", { class: "line" }, "  ".repeat(depth));
  };
  const here = () => path.map((place) => place.key ?? String(place.position)).join("\u0000");
  const annotate = () => {
    const note = byPath.get(here());
    if (note) line.append(" ", noteChip(note));
  };
  const matcher = new RegExp(TOKEN);
  let match;
  let pending = null; // an opening bracket that may be closed at once
  while ((match = matcher.exec(text)) !== null && tokens++ < MAX_TOKENS) {
    const token = match[0];
    if (pending !== null) {
      const closes = token === "}" || token === "]";
      if (closes) {
        path.pop();
        write("mark", token);
        annotate();
        pending = null;
        continue;
      }
      pending = null;
      endLine(path.length);
    }
    const place = path.at(-1);
    if (token === "{" || token === "[") {
      write("mark", token);
      path.push({ key: token === "{" ? "" : null, position: 0, isObject: token === "{" });
      isKey = token === "{";
      pending = token;
    } else if (token === "}" || token === "]") {
      path.pop();
      endLine(path.length);
      write("mark", token);
      isKey = false;
      annotate();
    } else if (token === ",") {
      write("mark", token);
      endLine(path.length);
      if (place) place.position += 1;
      isKey = place?.isObject ?? false;
    } else if (token === ":") {
      write("mark", ": ");
      isKey = false;
    } else if (isKey) {
      write("key", token);
      if (place) place.key = unescaped(token);
    } else {
      write(token.startsWith('"') ? "text" : "value", token);
      annotate();
    }
  }
  out.append(line);
  if (match !== null) out.append("\n", text.slice(match.index));
  return out;
}

function unescaped(token) {
  try {
    return JSON.parse(token);
  } catch {
    return token;
  }
}
