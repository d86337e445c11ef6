// A list of which only the rows in view are in the document, whatever its length. It is one stop of the Tab key; the
// arrow keys choose a row and Enter opens it.

import { el } from "./dom.js";

const narrow = matchMedia("(max-width: 720px)");

export class List {
  /** `fill(element, row)` writes a row; `open(row)` shows its details. */
  constructor(scroller, matches, fill, open) {
    Object.assign(this, { scroller, matches, fill, open });
    this.sizer = el("div", { class: "sizer", role: "presentation" });
    this.scroller.append(this.sizer);
    this.elements = [];
    this.chosen = null; // the number of an item
    this.top = 0; // the number of the newest item when the list was drawn last
    scroller.addEventListener("scroll", () => this.schedule());
    scroller.addEventListener("keydown", (event) => this.key(event));
    scroller.addEventListener("click", (event) => {
      const element = event.target.closest("[data-position]");
      if (element) this.choose(Number(element.dataset.position), true);
    });
    narrow.addEventListener("change", () => this.schedule());
    new ResizeObserver(() => this.schedule()).observe(scroller);
  }

  get rowHeight() {
    return narrow.matches ? 54 : 32;
  }

  schedule() {
    this.scheduled ??= requestAnimationFrame(() => {
      this.scheduled = undefined;
      this.draw();
    });
  }

  draw() {
    const { matches, scroller, rowHeight } = this;
    // A list that is empty may be hidden; its old rows go nevertheless.
    if (scroller.clientHeight === 0 && matches.length > 0) return;
    this.keepPlace();
    this.sizer.style.height = `${matches.length * rowHeight}px`;
    const from = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - 4);
    const to = Math.min(matches.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / rowHeight) + 4);
    while (this.elements.length < to - from) {
      const element = el("div", { role: "option", class: "row" });
      this.elements.push(element);
      this.sizer.append(element);
    }
    let active = "";
    this.elements.forEach((element, index) => {
      const position = from + index;
      element.hidden = position >= to;
      if (element.hidden) return;
      const number = matches.at(position);
      const row = matches.rows.get(number);
      const isChosen = number === this.chosen;
      element.style.transform = `translateY(${position * rowHeight}px)`;
      element.id = `${scroller.id}-${number}`;
      element.dataset.position = position;
      element.setAttribute("aria-posinset", position + 1);
      element.setAttribute("aria-setsize", matches.length);
      element.setAttribute("aria-selected", isChosen);
      if (isChosen) active = element.id;
      // Rows are not changed once they are there.
      if (element.row !== row || !row) {
        element.row = row;
        element.replaceChildren();
        if (row) this.fill(element, row);
        else element.append(el("span", { class: "muted" }, "…"));
      }
    });
    if (active) scroller.setAttribute("aria-activedescendant", active);
    else scroller.removeAttribute("aria-activedescendant");
    if (to > from) {
      matches.load(from, to, () => this.schedule()).catch(() => setTimeout(() => this.schedule(), 1000));
    }
  }

  /** New items come at the top. A list that was scrolled down stays where it is. */
  keepPlace() {
    const { matches, scroller } = this;
    const newest = matches.length ? matches.at(0) : 0;
    if (newest > this.top && this.top > 0 && scroller.scrollTop > this.rowHeight) {
      let [low, high] = [0, matches.length - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (matches.at(middle) <= this.top) high = middle;
        else low = middle + 1;
      }
      this.sizer.style.height = `${matches.length * this.rowHeight}px`;
      scroller.scrollTop += low * this.rowHeight;
    }
    this.top = newest;
  }

  /** Starts again at the top. */
  restart() {
    this.top = 0;
    this.scroller.scrollTop = 0;
    this.schedule();
  }

  positionOfChosen() {
    const { matches } = this;
    if (this.chosen === null || matches.length === 0) return -1;
    let [low, high] = [0, matches.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (matches.at(middle) <= this.chosen) high = middle;
      else low = middle + 1;
    }
    return matches.at(low) === this.chosen ? low : -1;
  }

  choose(position, isOpened) {
    const { matches, scroller, rowHeight } = this;
    if (matches.length === 0) return;
    const place = Math.min(Math.max(position, 0), matches.length - 1);
    this.chosen = matches.at(place);
    const top = place * rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    const bottom = top + rowHeight - scroller.clientHeight;
    if (bottom > scroller.scrollTop) scroller.scrollTop = bottom;
    this.schedule();
    if (isOpened) this.open(this.chosen);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight) - 1);
    const at = this.positionOfChosen();
    const steps = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page,
      Home: 0, End: this.matches.length - 1,
    };
    if (event.key === "Enter" && at >= 0) this.open(this.chosen);
    else if (event.key in steps && !event.altKey && !event.ctrlKey) this.choose(steps[event.key], false);
    else return;
    event.preventDefault();
  }
}
