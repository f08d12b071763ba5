// How far work is: a bar for each thing that is worked at.

import { element } from "./feed.js";

/** @import {Progress} from "../realtime.js" */

/** Milliseconds that a finished bar is still shown. */
const FINISHED = 1500;

export class Work {
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} empty what is shown while there is none
   */
  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
  }

  /** @param {Progress} progress */
  show({ subject, stage, done, total }) {
    const row = this.#rows.get(subject) ?? this.#add(subject);
    const bar = row.querySelector("progress");
    if (bar) bar.value = total ? done / total : 0;
    const words = row.querySelector(".stage");
    if (words) words.textContent = total ? `${stage} ${done}/${total}` : stage;
  }

  /**
   * It is done; its bar is shown full for a moment.
   * @param {string} subject
   */
  finish(subject) {
    const row = this.#rows.get(subject);
    if (!row) return;
    row.querySelector("progress")?.setAttribute("value", "1");
    setTimeout(() => {
      row.remove();
      if (this.#rows.get(subject) === row) this.#rows.delete(subject);
      this.empty.hidden = this.#rows.size > 0;
    }, FINISHED);
  }

  clear() {
    this.#rows.clear();
    this.list.replaceChildren();
    this.empty.hidden = false;
  }

  /** @param {string} subject */
  #add(subject) {
    const row = element("li", "", "");
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", `Processing ${subject}`);
    row.append(element("code", "", subject), element("span", "stage", ""), bar);
    this.#rows.set(subject, row);
    this.list.append(row);
    this.empty.hidden = true;
    return row;
  }
}
