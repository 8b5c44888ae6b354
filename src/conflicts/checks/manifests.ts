/** Names of the packages that a manifest asks for. */
import { basename } from 'node:path/posix'

type Reader = (text: string) => readonly string[]

const READERS: readonly (readonly [RegExp, Reader])[] = [
  [/^package\.json$/, fromPackageJson],
  [
    /^(.*requirements.*\.(txt|in)|constraints.*\.txt)$/,
    each(/^\s*([A-Za-z][\w.-]*)\s*(?:\[|[=<>!~;@#]|$)/gm),
  ],
  [
    /^pyproject\.toml$/,
    each(
      /^\s*["']([A-Za-z][\w.-]*)\s*(?:[[=<>!~;@ ][^"']*)?["']\s*,?\s*(?:#.*)?$|^([A-Za-z][\w.-]*)\s*=\s*(?:["'{]\s*(?:[\^~><=*\d]|version))/gm,
    ),
  ],
  [/^setup\.(py|cfg)$/, each(/^\s*["']?([A-Za-z][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:[<>=~!]=?)\s*\d/gm)],
  [/^Pipfile$/, each(/^["']?([A-Za-z][\w.-]*)["']?\s*=/gm)],
  [/^go\.mod$/, each(/^\s*(?:require\s+|replace\s+)?([\w.-]+\.[a-z]{2,}\/[\w./-]+)\s/gm)],
  [/^pom\.xml$/, each(/<artifactId>\s*([^<\s]+)\s*<\/artifactId>/g)],
  [/^build\.gradle(\.kts)?$/, each(/["']([\w.-]+:[\w.-]+):[^"']+["']/g)],
  [/^Cargo\.toml$/, each(/^([A-Za-z][\w-]*)\s*=\s*(?:"[\d^~*]|\{)/gm)],
  [/^Gemfile$/, each(/^\s*gem\s+["']([\w-]+)/gm)],
]

/** Packages that the result asks for and none of the versions does. */
export function newDependencies(
  path: string,
  result: string,
  versions: readonly string[],
): readonly string[] {
  const read = READERS.find(([pattern]) => pattern.test(basename(path)))?.[1]
  if (!read) return []
  const known = new Set(versions.flatMap((version) => read(version)).map(normal))
  return [...new Set(read(result))].filter((name) => !known.has(normal(name)))
}

function normal(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-')
}

function each(pattern: RegExp): Reader {
  return (text) => [...text.matchAll(pattern)].flatMap((match) => match[1] ?? match[2] ?? [])
}

function fromPackageJson(text: string): readonly string[] {
  try {
    const parsed = JSON.parse(text) as Record<string, unknown>
    return Object.entries(parsed).flatMap(([key, value]) =>
      /dependencies$/i.test(key) && typeof value === 'object' && value !== null ? Object.keys(value) : [],
    )
  } catch {
    // Not JSON: the syntax layer says so. Lines that look like dependencies are still read.
    return [...text.matchAll(/^\s*"((?:@[\w.-]+\/)?[\w.-]+)"\s*:\s*"[\^~><=*\d]/gm)].flatMap(
      (match) => match[1] ?? [],
    )
  }
}
