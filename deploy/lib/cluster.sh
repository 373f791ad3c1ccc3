# Sourced by deploy/quickstart: daemons as child processes of a script, known by pid and start time.
# shellcheck shell=bash

# Every process started here carries this in its environment.
readonly CLUSTER_MARK=PANDO_LOCAL_CLUSTER

# Field 22 of /proc/PID/stat: with the pid it names one process for good. Empty when it is gone.
start_time_of() {
  local stat
  { stat=$(< "/proc/$1/stat"); } 2> /dev/null || return 0
  stat=${stat##*) }  # the name before it may hold blanks
  # shellcheck disable=SC2086  # split on purpose
  set -- $stat
  [[ $1 == Z ]] || echo "${20}"
}

# is_running PIDFILE: the very process that was started, not another one with its pid.
is_running() {
  local pid start
  { read -r pid start < "$1"; } 2> /dev/null || return 1
  [[ -n $start && $(start_time_of "$pid") == "$start" ]]
}

# start_daemon NAME COMMAND...: in its own session, so that Ctrl-C reaches only the script, which
# then stops everything in the right order. Output goes to $CLUSTER_DIR/NAME.log.
start_daemon() {
  local name=$1
  shift
  env "$CLUSTER_MARK=$CLUSTER_DIR" setsid "$@" > "$CLUSTER_DIR/$name.log" 2>&1 < /dev/null &
  echo "$! $(start_time_of $!)" > "$CLUSTER_DIR/$name.pid"
}

# stop_daemon NAME SECONDS: SIGTERM, then SIGKILL. Fails when it had to be killed.
stop_daemon() {
  local pidfile=$CLUSTER_DIR/$1.pid deadline=$((SECONDS + $2)) pid killed=0
  if is_running "$pidfile"; then
    read -r pid _ < "$pidfile"
    kill -TERM "$pid" 2> /dev/null
    while is_running "$pidfile" && ((SECONDS < deadline)); do sleep 0.05; done
    if is_running "$pidfile"; then
      say "  $1 (process $pid) did not stop within $2 s and was killed; see $CLUSTER_DIR/$1.log"
      kill -KILL "$pid" 2> /dev/null
      killed=1
    fi
  fi
  rm -f "$pidfile"
  return "$killed"
}

# A shim has its app's environment, not ours, but its instance's directory is below ours. Its app
# ends with it.
is_our_shim() {
  local name args argument
  { name=$(< "$1/comm") && [[ $name == pando-shim ]] && mapfile -d '' args < "$1/cmdline"; } \
    2> /dev/null || return 1
  for argument in "${args[@]}"; do
    [[ $argument != "$CLUSTER_DIR"/* ]] || return 0
  done
  return 1
}

# pids of all that was started here: what carries our mark, and shims.
our_pids() {
  local process
  for process in /proc/[0-9]*; do
    # grep, because bash cannot hold NUL bytes; other people's processes cannot be read.
    if grep -zqsxF "$CLUSTER_MARK=$CLUSTER_DIR" "$process/environ" 2> /dev/null ||
      is_our_shim "$process"; then
      echo "${process#/proc/}"
    fi
  done
}

# kill_ours SECONDS: asks all of them to end, then kills them.
kill_ours() {
  local deadline=$((SECONDS + $1)) pids
  mapfile -t pids < <(our_pids)
  ((${#pids[@]} == 0)) && return
  kill -TERM "${pids[@]}" 2> /dev/null
  while ((SECONDS < deadline)); do
    mapfile -t pids < <(our_pids)
    ((${#pids[@]} == 0)) && return
    sleep 0.1
  done
  kill -KILL "${pids[@]}" 2> /dev/null
}

# wait_until SECONDS PIDFILE COMMAND...: until the command succeeds, while the process lives.
wait_until() {
  local deadline=$((SECONDS + $1)) pidfile=$2
  shift 2
  until "$@" > /dev/null 2>&1; do
    is_running "$pidfile" || return 1
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# free_ports PORT...: the same ports, each that is taken replaced by a free one.
free_ports() {
  node - "$@" << 'JS'
const net = require('node:net');
const listen = (port) => new Promise((resolve, reject) => {
  const server = net.createServer().once('error', reject);
  server.listen(port, '127.0.0.1', () => resolve(server));
});
(async () => {
  const held = [];  // until all are found, so that none is given twice
  for (const wanted of process.argv.slice(2)) {
    held.push(await listen(Number(wanted)).catch(() => listen(0)));
  }
  console.log(held.map((server) => server.address().port).join(' '));
  held.forEach((server) => server.close());
})();
JS
}
