/**
 * The only place that reads the environment. One frozen, validated object comes out.
 *
 * Each key has a sentence (it becomes docs/reference/configuration.md) and an example (shown when the value is wrong).
 */
import { cpus, homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { refuse } from '#lib/errors.ts'
import { Secret } from '#lib/secret.ts'

const port = z.coerce.number().int().min(0).max(65_535)
const path = z.string().refine(isAbsolute, 'it must be an absolute path.')
const httpUrl = z.url({ protocol: /^https?$/, error: 'it must be an http or https URL.' })
const count = z.coerce.number().int().min(1)
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean),
)
const secret = z
  .string()
  .min(1)
  .transform((text) => new Secret(text))

type Key = {
  readonly parse: z.ZodType
  readonly sentence: string
  readonly example: string
  readonly secret?: true
}

export const KEYS = {
  FLOWFORGE_HOME: {
    parse: path.default(() => defaultHome()),
    sentence:
      'The folder of FlowForge: database, mirrors, results, credentials. Default: ~/.flowforge, as root /var/lib/flowforge.',
    example: '/var/lib/flowforge',
  },
  FLOWFORGE_DATABASE_URL: {
    parse: secret.optional(),
    sentence:
      'A PostgreSQL server of your own, 15 to 18 (a role that may create roles; used for set-up only). Default: FlowForge runs its own.',
    example: 'postgres://admin:…@db.example.com/flowforge',
    secret: true,
  },
  FLOWFORGE_HOST: {
    parse: z.string().min(1).default('127.0.0.1'),
    sentence: 'The address the API and the gateway listen on.',
    example: '127.0.0.1',
  },
  FLOWFORGE_HOST_NAMES: {
    parse: list.default([]),
    sentence:
      'Names under which the API is reached besides its address and localhost. Requests for other names are refused (a web page could use one to reach it).',
    example: 'flowforge.example.com',
  },
  FLOWFORGE_PORT: {
    parse: port.default(7420),
    sentence: 'The port of the API. 0 takes any free one.',
    example: '7420',
  },
  FLOWFORGE_GATEWAY_PORT: {
    parse: port.default(7421),
    sentence: 'The port of the model gateway. 0 takes any free one.',
    example: '7421',
  },
  FLOWFORGE_GATEWAY_URL: {
    parse: httpUrl.optional(),
    sentence:
      'Where workers reach the gateway. `flowforge up` sets it; needed for a worker on another machine.',
    example: 'http://127.0.0.1:7421',
  },
  FLOWFORGE_UPSTREAM_URL: {
    parse: httpUrl.default('https://api.anthropic.com'),
    sentence: 'The address of the model: the Anthropic API or anything that speaks it.',
    example: 'https://api.anthropic.com',
  },
  ANTHROPIC_API_KEY: {
    parse: secret.optional(),
    sentence:
      'The key for the model, or several with commas between, in order of preference. Only the gateway gets them. A Claude subscription cannot be used.',
    example: 'sk-ant-…',
    secret: true,
  },
  FLOWFORGE_UPSTREAMS_FILE: {
    parse: path.optional(),
    sentence:
      'A JSON file with several upstreams in order of preference, [{"url": …, "key": …}], in the place of FLOWFORGE_UPSTREAM_URL and ANTHROPIC_API_KEY. Only the gateway reads it; keep it readable for FlowForge alone.',
    example: '/etc/flowforge/upstreams.json',
  },
  FLOWFORGE_PRICES: {
    parse: path.optional(),
    sentence:
      'A JSON file with prices of your own, in the form of src/costs/prices.json: models in it replace those of the built-in list.',
    example: '/etc/flowforge/prices.json',
  },
  FLOWFORGE_URL: {
    parse: httpUrl.optional(),
    sentence: 'Where the command line finds the API. Default: the one on this machine.',
    example: 'http://127.0.0.1:7420',
  },
  FLOWFORGE_API_KEY: {
    parse: secret.optional(),
    sentence: 'The key of the command line. Default: the one in FLOWFORGE_HOME/credentials.json.',
    example: 'ff_…',
    secret: true,
  },
  FLOWFORGE_MASTER_KEY: {
    parse: secret.optional(),
    sentence:
      'The master key that encrypts credentials: 32 bytes in base64. Default: FLOWFORGE_HOME/keys/master.key, made at first start.',
    example: 'openssl rand -base64 32',
    secret: true,
  },
  FLOWFORGE_SLOTS: {
    parse: count.max(512).default(() => Math.max(4, cpus().length)),
    sentence: 'How many agents this host runs at once.',
    example: '4',
  },
  FLOWFORGE_LANES: {
    parse: count.max(128).default(4),
    sentence: 'How many merge lanes (repository and branch) this host serves at once.',
    example: '4',
  },
  FLOWFORGE_SANDBOX: {
    parse: z.enum(['local', 'none']).default('local'),
    sentence:
      'The sandbox: local (bubblewrap, on macOS Seatbelt) or none, which isolates nothing and is for experiments only.',
    example: 'local',
  },
  FLOWFORGE_ALLOW_WEAKER: {
    parse: list.default([]),
    sentence: 'Guarantees of the sandbox that may be missing on this host, by name (see `flowforge doctor`).',
    example: 'diskLimit,memoryLimit',
  },
  FLOWFORGE_SANDBOX_MEMORY_MB: {
    parse: count.default(4096),
    sentence: 'Memory of one sandbox, in MiB.',
    example: '4096',
  },
  FLOWFORGE_SANDBOX_DISK_MB: {
    parse: count.default(8192),
    sentence: 'Disk of one sandbox, in MiB.',
    example: '8192',
  },
  FLOWFORGE_TOOLCHAINS: {
    parse: list.default([]),
    sentence: 'Host directories with toolchains, shown read-only in every sandbox at the same path.',
    example: '/usr/local/go,/opt/jdk',
  },
  FLOWFORGE_EGRESS: {
    parse: list.default([
      'registry.npmjs.org',
      'pypi.org',
      'files.pythonhosted.org',
      'proxy.golang.org',
      'sum.golang.org',
      'repo.maven.apache.org',
      'index.crates.io',
      'static.crates.io',
    ]),
    sentence:
      'Hosts a sandbox may read from (GET and HEAD, through the reverse proxy). `tunnel:HOST` allows CONNECT, which is weaker. Empty: nothing.',
    example: 'registry.npmjs.org,tunnel:example.com',
  },
  FLOWFORGE_ALLOWED_NETWORKS: {
    parse: list.default([]),
    sentence: 'Private addresses that repositories and egress may use, as CIDR blocks. Default: none.',
    example: '10.1.0.0/16',
  },
  FLOWFORGE_COMMIT_AUTHOR: {
    parse: z
      .string()
      .regex(/^[^<>\n]{1,100} <[^<>\s]{3,200}>$/, 'it must be NAME <EMAIL>.')
      .default('FlowForge <flowforge@localhost>'),
    sentence: 'Author and committer of what FlowForge commits.',
    example: 'FlowForge <flowforge@example.com>',
  },
  FLOWFORGE_CHECKPOINT_SECONDS: {
    parse: count.default(180),
    sentence: 'How often the work of a running agent is saved.',
    example: '180',
  },
  FLOWFORGE_MAX_RUNNING_JOBS: {
    parse: count.optional(),
    sentence:
      'How many jobs one organization may run at once, unless the organization says otherwise. Default: as many as there is room for.',
    example: '20',
  },
  FLOWFORGE_LOG_LEVEL: {
    parse: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    sentence: 'How much is logged.',
    example: 'info',
  },
  FLOWFORGE_KILL_AT: {
    parse: z.string().optional(),
    sentence: 'For tests: the process kills itself at this named point (src/lib/race-points.ts).',
    example: 'land:written',
  },
} as const satisfies Record<string, Key>

type Values = { readonly [K in keyof typeof KEYS]: z.output<(typeof KEYS)[K]['parse']> }

/** Everything that can be set, by the name it has outside. */
export type Config = Values

/** Reads and checks the environment. A wrong value is a refusal that names key, value and an example. */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const values = Object.entries(KEYS).map(([key, { parse, example, ...rest }]) => {
    const given = environment[key] === '' ? undefined : environment[key]
    const result = parse.safeParse(given)
    if (result.success) return [key, result.data] as const
    throw refuse('config_invalid', {
      key,
      value: 'secret' in rest ? '[secret]' : (given ?? ''),
      problem: result.error.issues.map((issue) => issue.message).join(' '),
      example: `${key}=${example}`,
    })
  })
  return Object.freeze(Object.fromEntries(values)) as Config
}

function defaultHome(): string {
  return process.getuid?.() === 0 ? '/var/lib/flowforge' : join(homedir(), '.flowforge')
}

/** The environment of a role's process: this one's, what is added, and the model's key for the gateway alone. */
export function environmentForRole(
  role: string,
  additions: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  const environment = { ...process.env, ...additions }
  if (role !== 'gateway') delete environment['ANTHROPIC_API_KEY']
  // Set-up is done by `up`; a role gets URLs of its own, without the rights of this one.
  delete environment['FLOWFORGE_DATABASE_URL']
  return environment
}

/** This process's environment with additions, to be read by readConfig. */
export function environmentWith(
  additions: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  return { ...process.env, ...additions }
}
