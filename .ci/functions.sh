# Shared by the scripts of this folder, which source it. Each ends with "N passed, N failed" alone on a line.

passed=0
failed=0
work=$(mktemp -d)
chmod 755 "$work"

step() { # NAME COMMAND...
  local name=$1
  shift
  echo
  echo "=== $name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "✖ $name failed"
  fi
}

# Counts Jest's own tests, so that the last line tells how many there were. What fails runs once more, alone, since this machine
# may do other work: a test that passes then is named as unsteady, and is to be repaired.
jest_step() { # NAME COMMAND...
  local name=$1
  local report="$work/jest.json"
  shift
  echo
  echo "=== $name"
  rm -f "$report"
  "$@" --json --outputFile="$report"
  local code=$?
  if [ ! -f "$report" ]; then
    failed=$((failed + 1))
    return
  fi
  local ran unsteady=0
  ran=$(jest_counts "$report")
  if [ "${ran#* }" -gt 0 ]; then
    mapfile -t again < <(node -p "require('$report').testResults.filter(({ status }) => status === 'failed').map(({ name }) => name).join('\n')")
    echo
    echo "=== once more, alone: ${again[*]##*/}"
    jest -w 1 --json --outputFile="$report" --runTestsByPath "${again[@]}"
    code=$?
    local second
    second=$(jest_counts "$report")
    unsteady=$((${ran#* } - ${second#* }))
    [ "$unsteady" -ge 0 ] || unsteady=0
    echo "⚠ unsteady: $unsteady of ${ran#* } that failed passed alone"
    ran="$((${ran% *} + unsteady)) ${second#* }"
  fi
  passed=$((passed + ${ran% *}))
  failed=$((failed + ${ran#* }))
  [ "$code" -eq 0 ] || [ "${ran#* }" -gt 0 ] || failed=$((failed + 1))
}

# Prints how many tests passed, and how many tests and whole files failed.
jest_counts() { # REPORT
  node -p "const r = require('$1'); r.numPassedTests + ' ' + (r.numFailedTests + r.numRuntimeErrorTestSuites)"
}

jest() {
  node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js "$@"
}

# A server refuses to run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then su postgres -s /bin/bash -c "$*"; else bash -c "$*"; fi
}

# Sets `port`. The server's folder is `data`. Its data is thrown away, so nothing has to reach the disk; the chaos has its own.
start_server() { # BIN
  bin=$1
  data=$(mktemp -d "$work/postgres-XXXXXX")
  chmod 755 "$data"
  [ "$(id -u)" -ne 0 ] || chown postgres "$data"
  port=$(node -e "const s = require('net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })")
  as_postgres "$bin/initdb -D $data/cluster -U postgres -A trust -E UTF8 >/dev/null" || return 1
  as_postgres "$bin/pg_ctl -D $data/cluster -l $data/log -o '-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$data -c max_connections=300 -c fsync=off' -w start" || return 1
}

stop_server() {
  [ -z "${bin:-}" ] || as_postgres "$bin/pg_ctl -D $data/cluster -m immediate stop >/dev/null 2>&1"
  bin=
}

finish() {
  stop_server
  rm -rf "$work"
}
trap finish EXIT

# Prints the folder of the unpacked package.
fetch_package() { # NAME VERSION
  local folder
  folder=$(mktemp -d "$work/package-XXXXXX")
  chmod 755 "$folder"
  (cd "$folder" && npm pack --silent "$1@$2" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz) || return 1
  echo "$folder/package"
}

# Prints the newest version of a package with this major version, a prerelease too.
newest() { # NAME MAJOR
  npm view "$1" versions --json | node -e "
    const versions = JSON.parse(require('fs').readFileSync(0)).filter((version) => version.startsWith('$2.'));
    const newest = versions.sort(new Intl.Collator('en', { numeric: true }).compare).at(-1);
    if (newest === undefined) process.exit(1);
    console.log(newest);"
}

conclude() {
  echo
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

usage_error() { # MESSAGE
  echo "$1; --help tells more" >&2
  exit 2
}
