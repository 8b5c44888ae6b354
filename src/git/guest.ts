/**
 * The two scripts of git that run inside the sandbox, with nothing but sh and git.
 *
 * Neither trusts what an agent may have left behind: `.git` may be gone, made anew, or full of hooks, filters and settings.
 * So the work tree is committed with a git directory of our own, which only borrows the agent's objects, index and HEAD;
 * the agent's settings are never read for it, its index and HEAD never written. What comes out is verified on the host.
 */

/** A command for Sandbox.run. */
export type GuestGitCommand = {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Nothing is fetched from anywhere; a relay would only cost time. */
  readonly network: false
}

export type GuestFolders = { readonly workspace: string; readonly in: string; readonly out: string }

type Author = { readonly name: string; readonly email: string }

/** The exit code of commitCommand when the work tree is as it was at the base. Nothing was written then. */
export const NOTHING_CHANGED = 3
/** The exit code of both commands when they cannot do their work; standard error has the reason. */
export const GUEST_FAILED = 4

const GUEST: GuestFolders = { workspace: '/workspace', in: '/exchange/in', out: '/exchange/out' }
const MESSAGE_BYTES = 60_000
const CHECKPOINT = 'FlowForge-Checkpoint: 1'

/**
 * Makes the work tree from IN/base.bundle, on the branch `work`, without a remote. A workspace that is not empty (a layer
 * of an earlier set-up) keeps its untracked files. With `checkpoint`, IN/checkpoint.bundle is put on top: the agent's own
 * commits as commits, what it had not committed as changes.
 */
export function unpackCommand(request: {
  readonly commit: string
  readonly checkpoint?: boolean
  readonly author?: Author
  readonly folders?: GuestFolders
}): GuestGitCommand {
  const { commit, checkpoint = false, folders = GUEST } = request
  const { name, email } = request.author ?? { name: 'Agent', email: 'agent@localhost' }
  const parts = [folders.in, folders.workspace, commit, checkpoint ? 'yes' : 'no', quote(name), quote(email)]
  return { argv: ['/bin/sh', '-c', UNPACK, 'unpack', ...parts], env: GIT_ENV, network: false }
}

/**
 * Commits the whole work tree (respecting .gitignore) and writes OUT/NAME.bundle, which holds refs/heads/result without
 * what the base has. The agent's own commits are kept where they descend from the base; otherwise, and where they hold a
 * nested repository, the result is one commit. A running agent is not disturbed.
 */
export function commitCommand(request: {
  readonly name: 'result' | 'checkpoint'
  readonly message: string
  readonly author: Author
  readonly date: Date
  readonly folders?: GuestFolders
}): GuestGitCommand {
  const { name, author, date, folders = GUEST } = request
  const text = Buffer.from(request.message).subarray(0, MESSAGE_BYTES).toString('utf8').trimEnd()
  const message = name === 'checkpoint' ? `${text}\n\n${CHECKPOINT}` : text
  const when = `@${Math.floor(date.getTime() / 1000)} +0000`
  return {
    argv: ['/bin/sh', '-c', COMMIT, 'commit', folders.in, folders.workspace, folders.out, name, message],
    env: {
      ...GIT_ENV,
      GIT_AUTHOR_NAME: author.name,
      GIT_AUTHOR_EMAIL: author.email,
      GIT_AUTHOR_DATE: when,
      GIT_COMMITTER_NAME: author.name,
      GIT_COMMITTER_EMAIL: author.email,
      GIT_COMMITTER_DATE: when,
    },
    network: false,
  }
}

/**
 * Run after the set-up command and before the agent: files that the set-up left behind and that no .gitignore names are
 * not part of the result.
 */
export function ignoreLeftOversCommand(folders: GuestFolders = GUEST): GuestGitCommand {
  return {
    argv: ['/bin/sh', '-c', IGNORE_LEFT_OVERS, 'ignore', folders.workspace],
    env: GIT_ENV,
    network: false,
  }
}

const GIT_ENV = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_OPTIONAL_LOCKS: '0',
  LC_ALL: 'C',
} as const

/** Variables of the job must not move git elsewhere. */
const START = String.raw`
set -u
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG \
  GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT GIT_COMMON_DIR GIT_NAMESPACE GIT_EXTERNAL_DIFF GIT_TRACE CDPATH
umask 022
fail() { echo "$1" >&2; exit 4; }
# Reads the bundle $1 into the repository: its ref $2 is then in $found, the cuts of a shallow history in the file $3.
# sh reads a header byte by byte, so git goes on exactly at the pack.
read_bundle() {
  found=
  {
    while IFS= read -r line; do
      case $line in
        '') break ;;
        *" $2") found=${'$'}{line%% *} ;;
        *' refs/shallow/'*) printf '%s\n' "${'$'}{line%% *}" >>"$3" ;;
      esac
    done
    [ -z "$4" ] || git index-pack --stdin --fix-thin >/dev/null || fail "$1 cannot be read"
  } <"$1" || fail "$1 is not there"
  [ -n "$found" ] || fail "$1 has no $2"
}
`

const UNPACK = String.raw`${START}
in=$1 commit=$3 checkpoint=$4
cd "$2" || fail 'there is no workspace'
# A layer brings the .git of another time: its objects and index help, its settings and hooks stay behind.
if [ -e .git ] || [ -L .git ]; then rm -rf .git.before; mv .git .git.before || fail '.git cannot be moved'; fi
mkdir -p .git/objects/info .git/objects/pack .git/refs/heads .git/refs/tags .git/info || fail '.git cannot be made'
if [ -d .git.before/objects ] && [ ! -L .git.before ]; then
  rm -rf .git/objects && mv .git.before/objects .git/objects && rm -f .git/objects/info/alternates
  for kept in index shallow; do [ -f .git.before/$kept ] && mv .git.before/$kept .git/$kept; done
fi
rm -rf .git.before
printf 'ref: refs/heads/work\n' >.git/HEAD
printf '[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n[user]\n\tname = %s\n\temail = %s\n[gc]\n\tauto = 0\n[advice]\n\tdetachedHead = false\n' "$5" "$6" >.git/config
read_bundle "$in/base.bundle" refs/heads/base .git/shallow objects
[ "$found" = "$commit" ] || fail 'base.bundle holds another commit'
tip=$commit
if [ "$checkpoint" = yes ]; then
  read_bundle "$in/checkpoint.bundle" refs/heads/result /dev/null objects
  tip=$found
fi
git -c core.hooksPath=/dev/null reset -q --hard "$tip" 2>.git/said || {
  # An index of the layer that git cannot use.
  rm -f .git/index
  git -c core.hooksPath=/dev/null reset -q --hard "$tip" || fail 'the work tree cannot be written'
}
rm -f .git/said
if [ "$tip" != "$commit" ] && git cat-file commit "$tip" | grep -q '^${CHECKPOINT}$'; then
  git reset -q "$tip^" || fail 'the checkpoint cannot be opened'
fi
exit 0
`

const COMMIT = String.raw`${START}
in=$1 workspace=$2 out=$3 name=$4 message=$5
own=$out/.$name.git agent=$workspace/.git
cd "$workspace" || fail 'there is no workspace'
rm -rf "$own" "$out/$name.bundle"
trap 'rm -rf "$own"' EXIT
mkdir -p "$own/objects/info" "$own/objects/pack" "$own/refs/heads" || fail 'there is no space for the result'
printf 'ref: refs/heads/none\n' >"$own/HEAD"
printf '[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\thooksPath = /dev/null\n\tfsmonitor = false\n\tuntrackedCache = false\n\tquotePath = false\n\tcompression = 1\n\tbigFileThreshold = 16m\n\texcludesFile = %s/info/exclude\n[pack]\n\tcompression = 1\n[gc]\n\tauto = 0\n' "$agent" >"$own/config"
read_bundle "$in/base.bundle" refs/heads/base "$own/cuts" ''
base=$found parent=$found head= base_tree=
if [ -d "$agent/objects" ]; then
  printf '%s\n' "$agent/objects" >"$own/objects/info/alternates"
  [ -f "$agent/shallow" ] && cp "$agent/shallow" "$own/shallow"
  answer=$(printf '%s\n' "$base^{tree}" 'HEAD^{commit}' | git --git-dir="$agent" cat-file --batch-check='%(objecttype) %(objectname)' 2>/dev/null)
  case $answer in 'tree '*) base_tree=${'$'}{answer#tree } base_tree=${'$'}{base_tree%%[!0-9a-f]*} ;; esac
  case $answer in *'commit '*) head=${'$'}{answer##*commit } ;; esac
fi
export GIT_DIR="$own" GIT_WORK_TREE="$workspace"
if [ -z "$base_tree" ]; then
  # The agent threw the history away: it comes from the bundle again.
  [ -f "$own/cuts" ] && cat "$own/cuts" >>"$own/shallow"
  read_bundle "$in/base.bundle" refs/heads/base /dev/null objects
  base_tree=$(git rev-parse "$base^{tree}") || fail 'the base is gone and cannot be read again'
fi
if [ -n "$head" ] && [ "$head" != "$base" ] && git merge-base --is-ancestor "$base" "$head" 2>/dev/null; then parent=$head; fi

# The agent's index says what is tracked and spares reading every file; -p keeps the times that this rests on.
[ -f "$agent/index" ] && cp -p "$agent/index" "$own/index"
for shared in "$agent"/sharedindex.*; do [ -f "$shared" ] && cp -p "$shared" "$own/"; done

# Stages the folder $1 of the work tree; nested repositories without a commit, which git does not take, are listed.
stage() {
  (cd "$workspace/$1" && GIT_WORK_TREE="$workspace/$1" git add -A --ignore-errors .) 2>"$own/said" && return 0
  # Only this one fault is known and mended. A git that was ended, or found no space even for its own words, left files out.
  grep -q "^error: '.*/' does not have a commit checked out\$" "$own/said" || return 1
  sed -n "s/^error: '\(.*\)\/' does not have a commit checked out\$/\1/p" "$own/said" |
    while IFS= read -r empty; do printf '%s%s\n' "$1" "$empty"; done >>"$own/nested"
  ! grep '^\(error\|fatal\):' "$own/said" | grep -v "does not have a commit checked out\$" | grep -vq '^fatal: adding files failed$'
}
: >"$own/nested"
stage '' || {
  # Perhaps an index that git cannot read.
  rm -f "$own/index" "$own"/sharedindex.*
  git read-tree "$parent" && stage '' || fail "the work tree cannot be committed: $(head -c 2000 "$own/said")"
}

# A repository inside the work tree is committed as its files, one level in each round. Submodules of the base stay.
tab=$(printf '\t')
round=0
while :; do
  changes=$(git diff-index --cached "$base") || fail 'the changes cannot be read'
  case $changes in
    *' 160000 '*)
      printf '%s\n' "$changes" | sed -n "s/^:160000 160000 [^$tab]*$tab//p" >"$own/submodules"
      printf '%s\n' "$changes" | sed -n "/^:160000/d; s/^:[0-9]* 160000 [^$tab]*$tab//p" >>"$own/nested" ;;
  esac
  [ -s "$own/nested" ] || break
  [ -f "$own/submodules" ] || : >"$own/submodules"
  sort -u "$own/nested" | grep -vxF -f "$own/submodules" >"$own/round" || break
  round=$((round + 1))
  [ "$round" -le 20 ] || fail 'repositories are nested too deeply in the work tree'
  parent=$base
  : >"$own/nested"
  while IFS= read -r path; do
    rm -f "$own/inner"
    GIT_INDEX_FILE="$own/inner" stage "$path/" || fail "the repository inside $path cannot be committed: $(head -c 2000 "$own/said")"
    tree=$(GIT_INDEX_FILE="$own/inner" git write-tree) &&
      git rm -r -f -q --cached --ignore-unmatch -- ":(literal)$path" &&
      git read-tree --prefix="$path/" "$tree" || fail "the repository inside $path cannot be committed"
  done <"$own/round"
done

tree=$(git write-tree) || fail 'the work tree cannot be committed'
[ "$tree" != "$base_tree" ] || exit 3
result=
[ "$parent" = "$base" ] || [ "$(git rev-parse "$parent^{tree}")" != "$tree" ] || result=$parent
[ -n "$result" ] || result=$(printf '%s\n' "$message" | git commit-tree "$tree" -p "$parent" -F -) || fail 'the result cannot be committed'
{
  printf '# v2 git bundle\n-%s\n%s refs/heads/result\n\n' "$base" "$result"
  printf '%s\n^%s\n' "$result" "$base" | git pack-objects --revs --stdout --thin --delta-base-offset -q
} >"$out/.$name.half" || fail 'there is no space for the result'
mv "$out/.$name.half" "$out/$name.bundle"
exit 0
`

const IGNORE_LEFT_OVERS = String.raw`${START}
cd "$1" || fail 'there is no workspace'
git ls-files -z --others --exclude-standard --directory --no-empty-directory >.git/left-overs || fail 'the files cannot be listed'
# Names with a newline cannot be written there; the others get every special character escaped.
tr '\n\0' '\001\n' <.git/left-overs | grep -v "$(printf '\001')" | sed 's/[][\\*?# !]/\\&/g; s/^/\//' >>.git/info/exclude
rm -f .git/left-overs
exit 0
`

/** A value of a git configuration file. */
function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll(/[\r\n\0]/g, ' ')}"`
}
