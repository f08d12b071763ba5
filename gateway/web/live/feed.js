// The list of events: newest first, bounded, filtered, and still while it is paused.

/** @import {CloudEvent} from "../realtime.js" */

const SHOWN = 500;
/** Milliseconds in which news are said once: a screen reader would never come to an end. */
const SAID_EVERY = 4000;

/** @typedef {{event: CloudEvent, row: HTMLLIElement, words: string}} Entry */

export class Feed {
  /** @type {Entry[]} Oldest first. */
  #entries = [];
  /** @type {CloudEvent[]} What came while it was paused. */
  #held = [];
  #paused = false;
  #missed = 0;
  #filter = "";
  #seen = 0;
  #unsaid = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #saying;
  /** @type {(id: string) => string} */
  nameOf = (id) => id;
  /** What is said while there is nothing. */
  invitation = "";

  /** @param {(id: string) => HTMLElement} find */
  constructor(find) {
    this.list = find("list");
    this.empty = find("empty");
    this.count = find("count");
    this.notice = find("notice");
    this.news = find("news");
    this.pauseButton = find("pause");
    const filter = /** @type {HTMLInputElement} */ (find("filter"));
    filter.addEventListener("input", () => this.#narrow(filter.value));
    this.pauseButton.addEventListener("click", () => this.#pause(!this.#paused));
    find("clear").addEventListener("click", () => this.clear());
  }

  /** @param {CloudEvent} event */
  add(event) {
    this.#seen += 1;
    if (this.#paused) {
      this.#held.push(event);
      if (this.#held.length > SHOWN) {
        this.#held.shift();
        this.#missed += 1;
      }
    } else this.#show(event);
    this.#say();
    this.#update();
  }

  clear() {
    this.#entries = [];
    this.#held = [];
    this.#missed = 0;
    this.#seen = 0;
    this.list.replaceChildren();
    this.#update();
  }

  /** Names have become known. */
  rename() {
    for (const { event, row } of this.#entries) {
      const who = row.querySelector(".who");
      if (who && event.actor) who.textContent = this.nameOf(event.actor);
    }
    for (const entry of this.#entries) entry.words = wordsOf(entry.event, this.nameOf);
    this.#update();
  }

  /** @param {CloudEvent} event */
  #show(event) {
    const entry = { event, row: rowOf(event, this.nameOf), words: wordsOf(event, this.nameOf) };
    this.#entries.push(entry);
    entry.row.hidden = !entry.words.includes(this.#filter);
    this.list.prepend(entry.row);
    if (this.#entries.length > SHOWN) this.#entries.shift()?.row.remove();
  }

  /** @param {boolean} paused */
  #pause(paused) {
    this.#paused = paused;
    this.pauseButton.setAttribute("aria-pressed", String(paused));
    this.pauseButton.textContent = paused ? "Go on" : "Pause";
    if (!paused) {
      for (const event of this.#held) this.#show(event);
      this.#held = [];
      this.#missed = 0;
    }
    this.#update();
  }

  /** @param {string} text */
  #narrow(text) {
    this.#filter = text.trim().toLowerCase();
    for (const { row, words } of this.#entries) row.hidden = !words.includes(this.#filter);
    this.#update();
  }

  #update() {
    const matching = this.#entries.filter(({ row }) => !row.hidden).length;
    const all = this.#entries.length;
    this.count.textContent = all === 0 ? "" : matching === all ? String(all) : `${matching} of ${all}`;
    this.count.title = this.#seen > all ? `${this.#seen} have come since you began` : "";
    this.empty.hidden = matching > 0;
    this.empty.textContent = all ? `None of these ${all} has “${this.#filter}” in it.` : this.invitation;
    this.notice.hidden = !this.#paused;
    const waiting = this.#held.length + this.#missed;
    const lost = this.#missed ? `, of which the last ${SHOWN} are kept` : "";
    this.notice.textContent =
      waiting === 0 ? "Paused. Nothing new has come." : `Paused. ${many(waiting)} new${lost}.`;
  }

  #say() {
    this.#unsaid += 1;
    this.#saying ??= setTimeout(() => {
      this.news.textContent = `${many(this.#unsaid)} more.`;
      this.#unsaid = 0;
      this.#saying = undefined;
    }, SAID_EVERY);
  }
}

/** @param {number} number */
function many(number) {
  return number === 1 ? "1 event" : `${number} events`;
}

/**
 * @param {CloudEvent} event
 * @param {(id: string) => string} nameOf
 */
function wordsOf(event, nameOf) {
  const { type, subject = "", actor = "" } = event;
  return `${type} ${subject} ${actor} ${nameOf(actor)}`.toLowerCase();
}

/**
 * @param {CloudEvent} event
 * @param {(id: string) => string} nameOf
 */
function rowOf(event, nameOf) {
  const row = document.createElement("li");
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  const time = element("time", "", new Date(event.time).toLocaleTimeString());
  time.setAttribute("datetime", event.time);
  time.title = new Date(event.time).toLocaleString();
  summary.append(time, element("code", "type", event.type));
  if (event.actor) summary.append(element("span", "who", nameOf(event.actor)));
  if (event.subject) summary.append(element("code", "subject", event.subject));
  details.append(summary);
  details.addEventListener("toggle", () => {
    // Most are never opened.
    if (details.childElementCount === 1) {
      const all = element("pre", "", JSON.stringify(event, null, 2));
      all.tabIndex = 0;
      details.append(all);
    }
  });
  row.append(details);
  return row;
}

/**
 * @param {string} tag
 * @param {string} name
 * @param {string} text
 */
export function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}
