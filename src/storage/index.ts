/** Ground floor: files that must survive. */
export type { BlobEntry, Blobs } from './blobs.ts'
export { createFolderBlobs } from './adapters/folder.ts'
