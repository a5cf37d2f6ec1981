/**
 * Many small questions as few large ones: while one batch is on its way, the next one gathers.
 *
 * A question waits for at most `lingerMs` for company, or until `flush`.
 */

/** How a batch is asked and how it gathers. */
export interface BatchRules<Item, Answer> {
  /** Answers all items, in their order. */
  ask: (items: Item[]) => Promise<Answer[]>;
  /** At most so many items. */
  most: number;
  lingerMs: number;
}

interface Waiting<Item, Answer> {
  item: Item;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

/** Gathers questions. */
export class Batch<Item, Answer> {
  readonly #rules: BatchRules<Item, Answer>;
  #waiting: Waiting<Item, Answer>[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;

  constructor(rules: BatchRules<Item, Answer>) {
    this.#rules = rules;
  }

  /** The answer to one item; the error of its batch where that failed. */
  add(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#waiting.length >= this.#rules.most) this.flush();
      else this.#timer ??= setTimeout(() => { this.flush(); }, this.#rules.lingerMs);
    });
  }

  /** Asks what has gathered, without further lingering. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#busy && this.#waiting.length > 0) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    const batch = this.#waiting.splice(0, this.#rules.most);
    try {
      const answers = await this.#rules.ask(batch.map(({ item }) => item));
      if (answers.length !== batch.length) throw new Error("a batch was answered in part");
      // The lengths are equal.
      batch.forEach(({ resolve }, index) => { resolve(answers[index] as Answer); });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#busy = false;
    // What came meanwhile has waited for as long as the batch took.
    this.flush();
  }
}
