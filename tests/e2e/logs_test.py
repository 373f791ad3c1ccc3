"""ctl logs: two nodes, instances born later, crashes, a killed agent, a reader that does not read."""
import collections
import json
import subprocess
import unittest
import urllib.request

from pando_cluster import BIN, OK, USAGE, ClusterTest
from processes import wait_until

# Prints "begin", then "line 1", "line 2", ...; /burst?n prints n long lines at once, /crash ends it.
APP = '''
const http = require('http');
let lines = 0;
console.log('begin');
setInterval(() => console.log('line ' + ++lines), 20);
http.createServer((request, response) => {
  const [path, count] = request.url.split('?');
  if (path === '/crash') {
    console.error('crashing');
    process.exit(3);
  }
  if (path === '/burst') {
    for (let i = 1; i <= count; ++i) console.log('burst ' + i + ' ' + 'x'.repeat(150));
  }
  response.end('ok');
}).listen(process.env.PORT);
'''


SPREAD = """
name: spread
command: [node, -e, "console.log(process.env.WORD); require('http').createServer((q, s) => s.end()).listen(process.env.PORT)"]
env: {{WORD: {word}}}
replicas: 2
route: {{hosts: [spread.example]}}
health: {{interval: 200ms}}
stop: {{grace: 2s, drain: 1s}}
strategy: {{max_surge: 0, max_unavailable: 1}}
placement: {{max_per_node: 1}}
"""


class Follower:
    """ctl logs -f, its output going to a file."""

    def __init__(self, cluster, name, *arguments):
        self._path = cluster.dir / f'{name}.out'
        with open(self._path, 'wb') as out:
            self._process = subprocess.Popen(
                [*cluster.prefix('ctl'), str(BIN / 'ctl'), '--controller',
                 cluster.controller_address, 'logs', '-f', '-o', 'json', *arguments],
                stdout=out, env=cluster.environment())

    def entries(self):
        text = self._path.read_text(errors='replace')
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith('\n')]

    def numbers(self):
        """{instance: [n of "line n", ...]}, as they came."""
        numbers = collections.defaultdict(list)
        for entry in self.entries():
            if entry['text'].startswith('line '):
                numbers[entry['instance']].append(int(entry['text'][5:]))
        return numbers

    def running(self):
        return self._process.poll() is None

    def stop(self):
        self._process.terminate()
        self._process.wait(20)


class LogsTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all(agents=2)
        (self.cluster.dir / 'talk.js').write_text(APP)
        self.cluster.apply('name: talk\ncommand: [node, talk.js]\nreplicas: 2\n'
                           f'dir: {self.cluster.dir}\nstop: {{grace: 2s, drain: 1s}}\n'
                           'health: {interval: 200ms, timeout: 1s}\n')

    def follow(self, name, *arguments):
        follower = Follower(self.cluster, name, *arguments)
        self.addCleanup(follower.stop)
        return follower

    def logs(self, *arguments, expect=OK):
        out = self.cluster.ctl('logs', *arguments, '-o', 'json', expect=expect).stdout
        return [json.loads(line) for line in out.splitlines()]

    def ask(self, instance, path):
        address = next(i['address'] for i in self.cluster.ask('ps') if i['name'] == instance)
        try:
            with urllib.request.urlopen(f'http://{address}{path}', timeout=30) as response:
                response.read()
        except (OSError, EOFError):
            pass  # it crashed, as asked

    def assert_whole(self, numbers):
        """Each line once, in order, from the first one on."""
        for instance, lines in numbers.items():
            self.assertEqual(lines, list(range(1, len(lines) + 1)), instance)

    def test_instances_of_all_nodes_are_merged_by_time(self):
        follower = self.follow('all', 'talk', '--tail', 'all')
        self.cluster.ctl('scale', 'talk=4')
        wait_until(lambda: len(follower.numbers()) == 4 and
                   min(map(len, follower.numbers().values())) > 50, 60,
                   'lines of all four, two of which were born later')
        self.assert_whole(follower.numbers())
        self.assertEqual({e['node'] for e in follower.entries()}, {'node-1', 'node-2'})
        # What is stored comes exactly by time, and --tail counts over all instances.
        entries = self.logs('talk', '--tail', '60')
        times = [int(entry['time_unix_ms']) for entry in entries]
        self.assertEqual(len(entries), 60)
        self.assertEqual(times, sorted(times))
        self.assertEqual(len({entry['instance'] for entry in entries}), 4)
        # From a time on: the first line is one of that very time.
        since = times[10]
        stamp = subprocess.run(
            ['date', '-u', '-d', f'@{since // 1000}', '+%Y-%m-%dT%H:%M:%S'], check=True,
            capture_output=True, text=True).stdout.strip() + f'.{since % 1000:03}Z'
        later = [int(entry['time_unix_ms']) for entry in self.logs('talk', '--since', stamp)]
        self.assertEqual(later[0], since)
        self.assertGreaterEqual(len(later), 50)
        self.assertEqual(self.logs('talk', '--tail', '0'), [])

    def test_no_line_is_lost_when_an_agent_is_killed_in_mid_stream(self):
        follower = self.follow('killed', 'talk', '--tail', 'all')
        wait_until(lambda: len(follower.numbers()) == 2, 60, 'lines of both nodes')
        for _ in range(2):
            self.cluster['node-1'].kill()
            before = {name: len(lines) for name, lines in follower.numbers().items()}
            self.cluster.start('node-1')
            wait_until(lambda b=before: all(len(lines) > b[name] + 100 for name, lines in
                                            follower.numbers().items()), 60,
                       'more lines of both nodes')
            self.assert_whole(follower.numbers())
        notices = [entry['notice'] for entry in follower.entries() if entry['notice']]
        self.assertTrue(any('not connected' in notice for notice in notices), notices)
        self.assertTrue(follower.running())

    def test_what_the_start_before_a_crash_printed(self):
        refused = self.cluster.ctl('logs', 'talk.1', '--previous')
        self.assertIn('it was started only once', refused.stderr)
        wait_until(lambda: len(self.logs('talk.1', '--tail', 'all')) > 5, 60, 'a few lines')
        self.ask('talk.1', '/crash')
        wait_until(lambda: [e['text'] for e in self.logs('talk.1', '--tail', 'all')].count('begin')
                   == 2, 60, 'talk.1 was started again')
        texts = [entry['text'] for entry in self.logs('talk.1', '--previous', '--tail', 'all')]
        self.assertEqual(texts[0], 'begin')
        self.assertEqual(texts[-1], 'crashing')
        self.assertEqual(texts[1:-1], [f'line {n}' for n in range(1, len(texts) - 1)])
        last = self.logs('talk.1', '--previous', '--tail', '1')
        self.assertEqual([(e['text'], e['is_stderr']) for e in last], [('crashing', True)])
        self.cluster.ctl('logs', 'talk', '-f', '--previous', expect=USAGE)

    def test_what_the_release_before_printed(self):
        # As many as there are nodes, one each: the next release's are on the same ones.
        self.cluster.apply(SPREAD.format(dir=self.cluster.dir, word='first'))
        wait_until(lambda: all(e['text'] == 'first' for e in self.logs('spread', '--tail', 'all')) and
                   len(self.logs('spread')) == 2, 60, 'both printed')
        self.cluster.apply(SPREAD.format(dir=self.cluster.dir, word='second'))
        wait_until(lambda: [e['text'] for e in self.logs('spread', '--previous')] == ['first'] * 2,
                   60, 'what the first release printed is told')
        self.assertEqual([e['text'] for e in self.logs('spread')], ['second'] * 2)

    def test_a_reader_that_does_not_read_holds_up_nobody_and_misses_nothing(self):
        count = 40_000  # 7 MiB: more than pipes and streams hold, less than is rotated away
        slow = subprocess.Popen(
            [str(BIN / 'ctl'), '--controller', self.cluster.controller_address, 'logs', '-f',
             'talk.1', '--tail', '0', '-o', 'json'], stdout=subprocess.PIPE,
            env=self.cluster.environment())
        self.addCleanup(slow.wait, 20)
        self.addCleanup(slow.terminate)
        first = json.loads(slow.stdout.readline())  # it follows from here on
        self.assertEqual(first['instance'], 'talk.1')
        self.ask('talk.1', f'/burst?{count}')
        wait_until(lambda: any(entry['text'].startswith(f'burst {count} ') for entry in
                               self.logs('talk.1', '--tail', '3000')), 60,
                   'the last line is stored, though nobody reads')
        bursts = []
        for line in slow.stdout:
            entry = json.loads(line)
            self.assertEqual(entry['notice'], '')
            if entry['text'].startswith('burst '):
                bursts.append(int(entry['text'].split()[1]))
            if len(bursts) == count:
                break
        self.assertEqual(bursts, list(range(1, count + 1)))
        slow.stdout.close()


if __name__ == '__main__':
    unittest.main()
