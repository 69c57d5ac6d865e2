// What a view is given: where it stands, a way to be drawn again, and answers of the API that are kept fresh.

import { get, pause } from './api.js';

/** One visit to a view. It ends when the user goes elsewhere, and everything that it started with it. */
export class Page {
  #end = new AbortController();
  #draw;

  constructor({ params = [], query = {}, draw }) {
    this.params = params;
    this.query = query;
    this.#draw = draw;
  }

  get signal() {
    return this.#end.signal;
  }

  /** The view has changed. */
  draw() {
    if (!this.signal.aborted) this.#draw();
  }

  end() {
    this.#end.abort();
  }

  /** Runs `task`; what it throws after the page's end concerns nobody. */
  run(task) {
    Promise.resolve(task()).catch((error) => {
      if (!this.signal.aborted) throw error;
    });
  }

  /** One document, asked for again every `every` ms while somebody looks; never when 0. */
  watch(path, every = 0, query = {}) {
    return new Watched(this, path, every, query);
  }

  /** A list by pages, newest first. */
  list(path, every = 0, query = {}) {
    return new Listed(this, path, every, query);
  }
}

/** Answers that are asked for again and again: `value` is the last one, `problem` why there is no newer one. */
class Watched {
  value;
  problem;
  /** Told of each answer. */
  seen = () => {};
  #wake = () => {};
  #asked = 0;

  constructor(page, path, every, query) {
    this.page = page;
    this.path = path;
    this.query = query;
    page.run(async () => {
      while (!page.signal.aborted) {
        await this.reload();
        if (!every) return;
        await Promise.race([pause(every, page.signal), new Promise((resolve) => (this.#wake = resolve))]);
        await visible(page.signal);
      }
    });
  }

  /** Whether nothing is known yet. */
  get waiting() {
    return this.value === undefined && !this.problem;
  }

  /** Whether the question itself was wrong: what is there is no answer to it. */
  get refused() {
    return this.problem?.status >= 400 && this.problem.status < 500;
  }

  /** Asks now. */
  async reload() {
    const asked = ++this.#asked;
    const late = () => this.page.signal.aborted || asked !== this.#asked;
    try {
      const value = await get(this.path, this.query, this.page.signal);
      // What was asked for since then has other filters, or is newer.
      if (late()) return;
      this.take(value);
      this.seen(value);
      this.problem = undefined;
    } catch (error) {
      if (late()) return;
      this.problem = error;
    }
    this.page.draw();
  }

  take(value) {
    this.value = value;
  }

  /** Asks soon: something was done. */
  touch() {
    this.#wake();
    this.page.run(() => this.reload());
  }
}

/** The first page is kept fresh until older ones are asked for. */
class Listed extends Watched {
  /** Further pages that were asked for. */
  #older = [];
  next;
  busy = false;

  get items() {
    return [...(this.value?.items ?? []), ...this.#older];
  }

  take(value) {
    // Somebody reads on: the list must not move under the eye.
    if (this.#older.length > 0) return;
    this.value = value;
    this.next = value.next;
  }

  /** Appends the next page; one that was searched in vain may be empty and still have a next one. */
  async more() {
    if (!this.next || this.busy) return;
    this.busy = true;
    this.page.draw();
    try {
      const answer = await get(this.path, { ...this.query, cursor: this.next }, this.page.signal);
      this.#older.push(...answer.items);
      this.next = answer.next;
      this.problem = undefined;
    } catch (error) {
      if (!this.page.signal.aborted) this.problem = error;
    }
    this.busy = false;
    this.page.draw();
  }

  /** Whether older pages are shown, and so nothing new comes in. */
  get held() {
    return this.#older.length > 0;
  }

  /** Back to the newest. */
  newest() {
    this.#older = [];
    this.touch();
  }

  /** With other filters, from the newest on. */
  filter(query) {
    this.query = query;
    this.newest();
  }
}

/** Nobody needs figures on a tab that is not seen. */
function visible(signal) {
  if (!document.hidden) return undefined;
  return new Promise((resolve) => {
    document.addEventListener('visibilitychange', resolve, { once: true, signal });
    signal.addEventListener('abort', resolve, { once: true });
  });
}
