/** The one thing that a failed opening says. */

/**
 * Sealed bytes were refused. It never says why: which check failed is nobody's business who could have made the bytes.
 */
export class OpenError extends Error {
  override readonly name = "OpenError";

  constructor() {
    super("the sealed content can't be opened");
  }
}
