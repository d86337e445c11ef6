// What the methods of an Sdk throw.

/** The SDK has nothing like the call, or cannot be given its argument. The case is then not counted. */
export class Unsupported extends Error {}

/** The SDK refused the call. */
export class Refused extends Error {
  constructor(message, status = 'refused') {
    super(message)
    this.status = status
  }
}
