/** Ends an exhaustive switch: the compiler refuses a case that was forgotten. */
export function expectNever(value: never): never {
  throw new Error(`unhandled case: ${JSON.stringify(value)}`)
}
