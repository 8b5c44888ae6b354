/**
 * The port of storage: files that must survive (results, checkpoints, transcripts), under names that storage gives.
 * The name is written in the database only after `put` has answered, so a name in the database always has its blob.
 */
export type Blobs = {
  /** Keeps a copy of a local file. Answers the name of the blob, always a fresh one. */
  putFile(file: string): Promise<string>
  put(bytes: Uint8Array): Promise<string>
  /** Writes the blob to a local file, which must not exist yet. An unknown name is an error. */
  getFile(name: string, file: string): Promise<void>
  get(name: string): Promise<Buffer>
  has(name: string): Promise<boolean>
  /** Deleting what is not there is fine. */
  delete(name: string): Promise<void>
  list(): AsyncIterable<BlobEntry>
}

export type BlobEntry = { readonly name: string; readonly bytes: number; readonly storedAt: Date }

/** Every blob is named by a fresh id: no content decides where it lies, and nothing from outside can. */
const NAME = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whatever passes can be neither a path nor an option. */
export function checkBlobName(name: string): string {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name.slice(0, 80))} is not the name of a blob`)
  return name
}
