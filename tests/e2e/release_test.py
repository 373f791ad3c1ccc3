"""Releases: good ones under load, bad ones that are taken back by themselves, canaries, undo."""
import http.client
import json
import math
import re
import unittest

from pando_cluster import HELLO_DIR, ROLLOUT_FAILED, ClusterTest, hello
from processes import wait_until

CRASHES = 'command: [sh, -c, "echo no database; exit 3"]'
# In the best of health, but for what it answers.
FAILS = """
const http = require('node:http');
http.createServer((request, response) => {
  const healthy = request.url === '/healthz';
  response.statusCode = healthy || process.env.SLOW_MS ? 200 : 500;
  setTimeout(() => response.end('ok'), healthy ? 0 : Number(process.env.SLOW_MS || 0));
}).listen(process.env.PORT);
"""


def release(number, strategy='', replicas=None, crashes=False):
    """The sample app, changed; `replicas` only matters in the first one."""
    yaml = hello(replicas, env={'RELEASE': str(number)},
                 extra=f'strategy: {{{strategy}}}' if strategy else '')
    return yaml.replace('command: [node, server.js]', CRASHES) if crashes else yaml


class ReleaseTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all()

    def detach(self, yaml):
        self.cluster.ctl('apply', '-f', '-', '--detach', stdin=yaml)

    def revision(self):
        return json.loads(self.cluster.get('/whoami')[2])['revision']

    def history(self):
        document = json.loads(self.cluster.ctl('rollout', 'history', 'hello', '-o', 'json').stdout)
        return {int(each['revision']): each for each in document['releases']}

    def kinds(self):
        return [event['kind'] for event in self.cluster.events('hello')]

    def failing(self, number, strategy='', env=''):
        """As `release`, but an app that answers 500, or slowly."""
        directory = self.cluster.dir / 'failing'
        directory.mkdir(exist_ok=True)
        (directory / 'server.js').write_text(FAILS, encoding='utf-8')
        yaml = release(number, strategy).replace(str(HELLO_DIR), str(directory))
        return yaml.replace('env: {', f'env: {{{env}')

    def share_of(self, revision, requests=2000):
        """The share of requests that instances of a revision answer."""
        connection = http.client.HTTPConnection('127.0.0.1', self.cluster.gateway_port, timeout=10)
        answered = 0
        try:
            for _ in range(requests):
                connection.request('GET', '/whoami')
                answered += json.loads(connection.getresponse().read())['revision'] == revision
        finally:
            connection.close()
        return answered / requests

    def assert_share(self, revision, share, requests=2000):
        # Five standard deviations of a binomial distribution.
        bound = 5 * math.sqrt(share * (1 - share) / requests)
        self.assertAlmostEqual(self.share_of(revision, requests), share, delta=bound)

    def test_good_releases_fail_no_request_and_one_is_undone(self):
        self.cluster.apply(release(1, replicas=4))
        with self.cluster.load(options=['--post-percent', '20']) as load:
            self.cluster.apply(release(2))
            self.cluster.apply(release(3, 'max_surge: 0, max_unavailable: 1'))
            self.assertEqual(self.revision(), '3')
            self.cluster.ctl('rollout', 'undo', 'hello')
            self.assertEqual(self.revision(), '2')
            self.cluster.ctl('rollout', 'undo', 'hello', '--to', 'r1')
            self.assertEqual(self.revision(), '1')
        self.assert_no_failures(load)
        history = self.history()
        self.assertEqual({number: each['result'] for number, each in history.items()},
                         {1: 'live', 2: 'undone', 3: 'undone'})
        self.assertEqual([number for number, each in history.items() if each['current']], [1])
        self.assertEqual(history[2]['changes'], ['env.RELEASE'])
        self.assertIn('strategy.max_unavailable', history[3]['changes'])
        self.assertEqual(self.cluster.app()['rollout'], 'COMPLETE')
        self.assertEqual(self.cluster.app()['replicas'], 4)

    def test_a_release_that_crashes_is_rolled_back_by_itself(self):
        self.cluster.apply(release(1, replicas=3))
        before = self.cluster.pids()
        with self.cluster.load(options=['--post-percent', '20']) as load:
            failed = self.cluster.apply(release(2, crashes=True), expect=ROLLOUT_FAILED)
            self.assertIn('r2 was rolled back to r1', failed.stderr)
            self.assertIn('exited with code 3', failed.stderr)
            self.assertIn('no database', failed.stderr)  # the last lines of its log
            wait_until(lambda: self.cluster.app()['settled'], 60, 'all is as before')
        self.assert_no_failures(load)
        self.assertEqual(self.cluster.pids(), before)  # those that served were not touched
        self.assertIn('rolled-back', self.kinds())
        self.assertEqual(self.history()[2]['result'], 'rolled-back')
        # Again: known to be bad, also to the next controller.
        self.cluster['controller'].kill()
        self.cluster.start('controller')
        self.cluster.wait_for_controller()
        again = self.cluster.apply(release(2, crashes=True), expect=ROLLOUT_FAILED)
        self.assertIn('nothing was changed', again.stderr)
        self.assertEqual(self.cluster.app()['revision'], 1)
        self.cluster.ctl('rollout', 'status', 'hello', expect=ROLLOUT_FAILED)
        self.cluster.apply(release(3))
        self.cluster.ctl('rollout', 'status', 'hello')
        self.assertEqual(self.revision(), '3')

    def test_a_release_that_does_not_get_on_is_rolled_back_at_its_deadline(self):
        self.cluster.apply(release(1, replicas=2))
        never_ready = release(2, 'progress_deadline: 3s').replace('/healthz', '/nothing')
        failed = self.cluster.apply(never_ready, expect=ROLLOUT_FAILED)
        self.assertIn('no progress within 3 s: 0 of 1 new instances are in rotation',
                      failed.stderr)
        wait_until(lambda: self.cluster.app()['settled'], 60, 'all is as before')
        self.assertEqual(self.revision(), '1')
        # Unless it is not wanted.
        kept = never_ready.replace('3s', '3s, auto_rollback: false')
        self.cluster.apply(kept, expect=ROLLOUT_FAILED)
        app = self.cluster.app()
        self.assertEqual((app['revision'], app['rollout']), (3, 'FAILED'))
        self.assertEqual(self.revision(), '1')  # what served goes on

    def test_a_pause_lasts_over_a_killed_controller(self):
        self.cluster.apply(release(1, replicas=4))
        with self.cluster.load() as load:
            self.detach(release(2, 'min_ready: 2s'))
            wait_until(lambda: self.cluster.app()['available'] >= 1, 60, 'the first new one')
            self.cluster.ctl('rollout', 'pause', 'hello')
            self.cluster['controller'].kill()
            self.cluster.start('controller')
            self.cluster.wait_for_controller()

            def at_rest():
                app = self.cluster.app()
                return (app['rollout'] == 'PAUSED' and app['draining'] == 0
                        and app['placed'] == app['available'] >= 1)

            wait_until(at_rest, 60, 'the pause')
            outdated = self.cluster.app()['outdated']
            self.assertGreaterEqual(outdated, 1)
            self.cluster.ctl('rollout', 'resume', 'hello')
            app = self.cluster.app()
            self.assertEqual((app['revision'], app['outdated'], app['available']), (2, 0, 4))
        self.assert_no_failures(load)
        kinds = self.kinds()
        self.assertLess(kinds.index('paused'), kinds.index('resumed'))

    def test_a_rollout_goes_on_when_its_controller_is_killed(self):
        self.cluster.apply(release(1, replicas=4))
        with self.cluster.load(options=['--post-percent', '20']) as load:
            self.detach(release(2, 'min_ready: 1s'))
            wait_until(lambda: self.cluster.app()['available'] >= 1, 60, 'the first new one')
            self.assertGreaterEqual(self.cluster.app()['outdated'], 1)
            self.cluster['controller'].kill()
            self.cluster.start('controller')
            self.cluster.wait_for_controller()
            wait_until(lambda: self.cluster.app()['settled'], 60, 'the rollout is complete')
        self.assert_no_failures(load)
        self.assertEqual(self.cluster.app()['revision'], 2)
        self.assertEqual(self.history()[2]['result'], 'live')

    def test_a_release_that_answers_500_is_rolled_back_by_what_proxies_see(self):
        self.cluster.apply(release(1, replicas=4))
        with self.cluster.load() as load:
            failed = self.cluster.apply(self.failing(2, 'observe: 30s'), expect=ROLLOUT_FAILED)
            self.assertIn('r2 was rolled back to r1: errors 100.0%', failed.stderr)
            self.assertIn('(r1: 0.0% of', failed.stderr)
            wait_until(lambda: self.cluster.app()['settled'], 60, 'all is as before')
        self.assertGreater(load.result['failed'], 0)
        self.assertLess(load.result['failed'], load.result['requests'] / 2, load.result)
        with self.cluster.load() as load:
            wait_until(lambda: self.share_of('1', 50) == 1, 20, 'only r1 answers')
        self.assert_no_failures(load)
        self.assertEqual(self.history()[2]['result'], 'rolled-back')

    def test_a_release_that_is_slow_is_rolled_back_too(self):
        self.cluster.apply(release(1, replicas=3))
        slow = self.failing(2, 'observe: 5m, evidence: {min_requests: 5}', '"SLOW_MS": "700", ')
        with self.cluster.load() as load:
            failed = self.cluster.apply(slow, expect=ROLLOUT_FAILED)
        self.assertIn('p99 up to 1000 ms', failed.stderr)
        self.assert_no_failures(load)
        self.assertEqual(self.cluster.app()['revision'], 1)

    def test_a_canary_gets_its_share_and_is_promoted_step_by_step(self):
        self.cluster.apply(release(1, replicas=4))
        first = self.cluster.apply(release(2, 'canary: {steps: [20%, 50%]}, gate: manual'))
        self.assertIn('step 1/2 (20% of requests); go on with: ctl rollout promote hello',
                      first.stdout)
        self.assert_share('2', 0.2)
        with self.cluster.load(connections=2) as load:
            self.cluster.ctl('rollout', 'promote', 'hello')
            second = self.cluster.ctl('rollout', 'status', 'hello')
            self.assertIn('step 2/2 (50% of requests)', second.stdout)
            # The step counts from its begin; the first report of the proxy comes a little later.
            wait_until(lambda: re.search(r'(?m)^r2 +[1-9]\d* +0\.0%',
                                         self.cluster.ctl('rollout', 'status', 'hello').stdout),
                       20, 'the requests of the step are shown')
        self.assert_share('2', 0.5)
        with self.cluster.load(connections=2) as rest:
            self.cluster.ctl('rollout', 'promote', 'hello')
            self.cluster.ctl('rollout', 'status', 'hello')
            self.assertEqual(self.share_of('2', 100), 1)
        self.assert_no_failures(load)
        self.assert_no_failures(rest)
        app = self.cluster.app()
        self.assertEqual((app['revision'], app['available'], app['outdated']), (2, 4, 0))

    def test_blue_green_starts_all_and_then_switches(self):
        self.cluster.apply(release(1, replicas=3))
        with self.cluster.load() as load:
            self.cluster.apply(release(2, 'blue_green: true, gate: manual'))
            self.assertEqual(self.cluster.app()['available'], 3)
            self.assertEqual(self.share_of('1', 200), 1)
            self.cluster.ctl('rollout', 'promote', 'hello')
            self.cluster.ctl('rollout', 'status', 'hello')
            self.assertEqual(self.share_of('2', 200), 1)
            # And back.
            self.cluster.ctl('rollout', 'undo', 'hello')
            self.assertEqual(self.share_of('1', 200), 1)
        self.assert_no_failures(load)


if __name__ == '__main__':
    unittest.main()
