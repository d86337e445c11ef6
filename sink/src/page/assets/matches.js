// Which items fit a filter, newest first, and the rows of those that are shown. The sink does the search, piece by
// piece, and sends ranges of numbers; rows are fetched when they come into view, so that what the page holds does not
// grow with what the sink received.

import { get } from "./dom.js";

/** Rows that are remembered. */
const MAX_ROWS = 3000;
/** Rows of one request, and of one block. */
const BLOCK = 100;

export class Matches {
  constructor(list) {
    this.list = list;
    this.filter = {};
    this.search = 0;
    this.reset();
  }

  reset() {
    this.search += 1;
    this.ranges = []; // [first, last], oldest first
    this.before = []; // how many items are in the ranges before
    this.length = 0;
    this.until = 0;
    this.isDone = false;
    this.rows = new Map();
    this.isLoading = false;
  }

  setFilter(filter) {
    this.filter = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ""));
    this.reset();
  }

  get isFiltered() {
    return Object.keys(this.filter).length > 0;
  }

  /** Finds what arrived, up to the item `last`; `first` is the oldest one that the sink still has. */
  async advance(first, last, changed) {
    const search = this.search;
    if (this.isAdvancing === search) return;
    this.isAdvancing = search;
    try {
      this.dropBefore(first);
      while (this.until < last && search === this.search) {
        const found = await get("find", { list: this.list, after: this.until, ...this.filter });
        if (search !== this.search) return;
        const stands = found.until === this.until;
        this.until = found.until;
        found.ranges.forEach(([from, to]) => this.add(from, to));
        this.dropBefore(found.first);
        this.isDone = this.until >= last;
        changed();
        if (stands) break;
      }
      if (!this.isDone) { this.isDone = true; changed(); }
    } finally {
      if (this.isAdvancing === search) this.isAdvancing = 0;
    }
  }

  add(from, to) {
    const newest = this.ranges.at(-1);
    if (newest && newest[1] + 1 === from) newest[1] = to;
    else {
      this.ranges.push([from, to]);
      this.before.push(this.length);
    }
    this.length += to - from + 1;
  }

  dropBefore(first) {
    if (this.ranges.length === 0 || this.ranges[0][0] >= first) return;
    const kept = this.ranges.filter(([, to]) => to >= first).map(([from, to]) => [Math.max(from, first), to]);
    [this.ranges, this.before, this.length] = [[], [], 0];
    kept.forEach(([from, to]) => this.add(from, to));
  }

  /** The number of the item at this position, 0 being the newest. */
  at(position) {
    const fromOldest = this.length - 1 - position;
    let [low, high] = [0, this.ranges.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.before[middle] <= fromOldest) low = middle;
      else high = middle - 1;
    }
    return this.ranges[low][0] + fromOldest - this.before[low];
  }

  /** The row at this position, if it was fetched. */
  row(position) {
    return this.rows.get(this.at(position));
  }

  /** Fetches the rows of these positions and some around them that are missing. */
  async load(from, to, changed) {
    if (this.isLoading) return;
    const wanted = [];
    const end = Math.min(this.length, to + BLOCK / 2);
    for (let at = Math.max(0, from - BLOCK / 2); at < end; at++) {
      const number = this.at(at);
      if (!this.rows.has(number)) wanted.push([at, number]);
    }
    const seen = wanted.some(([at]) => at >= from && at < to);
    if (!seen) return;
    const search = this.search;
    this.isLoading = true;
    try {
      const numbers = wanted.map(([, number]) => number).slice(0, 400);
      const fetched = await get("rows", { list: this.list, numbers: asRanges(numbers) });
      if (search !== this.search) return;
      for (const row of fetched.rows) this.rows.set(row.n, row);
      for (const number of this.rows.keys()) {
        if (this.rows.size <= MAX_ROWS) break;
        this.rows.delete(number);
      }
    } finally {
      if (search === this.search) this.isLoading = false;
    }
    changed();
  }
}

function asRanges(numbers) {
  const ranges = [];
  for (const number of numbers.sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] + 1 === number) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => `${from}-${to}`).join(",");
}
