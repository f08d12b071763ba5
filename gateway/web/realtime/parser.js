/**
 * Reads an event stream as HTML says (9.2.6), in pieces of any size. A block with an id and
 * without data is told as well, with `data` null.
 */
export class Parser {
  /** @type {number | undefined} Milliseconds to wait before another stream. */
  retry;
  #rest = "";
  #begun = false;
  #type = "";
  #id = "";
  /** @type {string[]} */
  #data = [];
  #identified = false;

  /**
   * What has been complete with this piece.
   * @param {string} text
   * @returns {{type: string, data: string | null, id: string}[]}
   */
  feed(text) {
    if (text === "") return [];
    if (!this.#begun) text = text.replace(/^\uFEFF/, "");
    this.#begun = true;
    const told = [];
    this.#rest += text;
    // A CR at the end may be half of a CRLF.
    const whole = this.#rest.endsWith("\r") ? this.#rest.slice(0, -1) : this.#rest;
    const lines = whole.split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + (whole === this.#rest ? "" : "\r");
    for (const line of lines) {
      if (line === "") {
        const block = this.#end();
        if (block) told.push(block);
      } else if (!line.startsWith(":")) this.#field(line);
    }
    return told;
  }

  /** @param {string} line */
  #field(line) {
    const [, name, value = ""] = /** @type {RegExpExecArray} */ (/^([^:]*)(?:: ?(.*))?$/s.exec(line));
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    else if (name === "id" && !value.includes("\0")) {
      this.#id = value;
      this.#identified = true;
    }
  }

  #end() {
    const data = this.#data.length ? this.#data.join("\n") : null;
    const block = { type: this.#type || "message", data, id: this.#id };
    const told = data !== null || this.#identified;
    this.#type = "";
    this.#data = [];
    this.#identified = false;
    return told ? block : null;
  }
}
