"""Canaries that are worse than what they are to replace: what proxies see of them takes them back."""
import http.client
import json
import math
import re
import unittest

from pando_cluster import HELLO_DIR, ROLLOUT_FAILED, ClusterTest, hello
from processes import wait_until
from visitors import Visitors, ask

# The same in every release but for what the environment says: every so many-th answer is bad.
APP = """
const http = require('node:http');
const {FAIL_EVERY, SLOW_EVERY, SLOW_MS, PANDO_REVISION} = process.env;
let asked = 0;
http.createServer((request, response) => {
  response.setHeader('X-Revision', PANDO_REVISION);
  if (request.url === '/healthz') return response.end('ok');
  asked += 1;
  response.statusCode = asked % FAIL_EVERY === 0 ? 500 : 200;
  setTimeout(() => response.end('ok'), asked % SLOW_EVERY === 0 ? SLOW_MS : 5);
}).listen(process.env.PORT);
"""
SHARE = 0.1
CANARY = 'canary: {steps: [10%, 50%], interval: 10m}'


class CanaryTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all()
        (self.cluster.dir / 'server.js').write_text(APP, encoding='utf-8')
        self.cluster.apply(self.release({'OF': 'the first'}, replicas=4))

    def release(self, env, strategy='', replicas=None, extra=''):
        strategy = f'strategy: {{{strategy}}}' if strategy else ''
        yaml = hello(replicas, env=env, extra='\n'.join([strategy, extra]))
        return yaml.replace(str(HELLO_DIR), str(self.cluster.dir))

    def loads(self):
        return {load['revision']: int(load['requests']) for load in self.cluster.app()['loads']}

    def at_rest(self):
        app = self.cluster.app()
        return app['settled'] and app['draining'] == 0

    def rolled_back(self):
        return [event['message'] for event in self.cluster.events('hello')
                if event['kind'] == 'rolled-back']

    def assert_share(self, answers):
        """While there was a canary, no more than its share of the requests met it."""
        met = [at for at, (revision, _) in enumerate(answers) if revision == 2]
        window = met[-1] - met[0] + 1
        # Five standard deviations of a binomial distribution; first and last are chosen to be its.
        most = window * SHARE + 5 * math.sqrt(window * SHARE * (1 - SHARE)) + 2
        self.assertLessEqual(len(met), most, f'of {window} requests')
        # Without a split it would have a fifth: one instance of five.
        self.assertLess(most, window * 0.2, 'too few requests to tell the share')

    def assert_taken_back(self, failed, evidence):
        """`evidence` as apply, the timeline, status and history tell it, with the same figures."""
        told = re.search(evidence, failed.stderr)
        self.assertIsNotNone(told, failed.stderr)
        self.assertIn('r2 was rolled back to r1', failed.stderr)
        self.assertEqual(self.rolled_back(), [f'revision 2 -> 1: {told[0]}'])
        status = self.cluster.ctl('rollout', 'status', 'hello', expect=ROLLOUT_FAILED)
        self.assertIn(f'r2 was rolled back to r1: {told[0]}', status.stderr)
        history = self.cluster.ctl('rollout', 'history', 'hello').stdout
        self.assertRegex(history, rf'(?m)^r2 .* rolled-back +{re.escape(told[0])}')
        self.assertRegex(history, r'(?m)^r1 \*.* live')
        self.assertEqual(self.cluster.app()['available'], 4)
        return told

    def apply_under_load(self, env, strategy):
        with Visitors(self.cluster.gateway_port) as visitors:
            wait_until(lambda: len(visitors.answers) > 500, 30, 'the first answers')
            failed = self.cluster.apply(self.release(env, strategy), expect=ROLLOUT_FAILED)
            wait_until(self.at_rest, 60, 'all is as before')
            seen = len(visitors.answers)
            wait_until(lambda: len(visitors.answers) > seen + 500, 30, 'answers afterwards')
        self.assertEqual({revision for revision, _ in visitors.answers[seen + 50:]}, {1})
        self.assert_share(visitors.answers)
        return failed, visitors.answers

    def test_a_canary_that_answers_some_5xx_is_taken_back(self):
        failed, answers = self.apply_under_load({'FAIL_EVERY': '20'}, CANARY)
        told = self.assert_taken_back(
            failed, r'errors (\d+\.\d)% of (\d+) requests \(r1: 0\.0% of (\d+)\)')
        self.assertAlmostEqual(float(told[1]), 5, delta=3)
        # Others than its few failures nobody has seen.
        errors = [revision for revision, status in answers if status != 200]
        self.assertEqual(set(errors), {2})
        met = sum(revision == 2 for revision, _ in answers)
        self.assertLessEqual(len(errors), met / 20)
        self.assertLessEqual(int(told[2]), met)

    def test_a_canary_with_a_slow_p99_is_taken_back(self):
        failed, answers = self.apply_under_load(
            {'SLOW_EVERY': '20', 'SLOW_MS': '700'}, f'{CANARY}, evidence: {{min_requests: 5}}')
        self.assert_taken_back(
            failed, r'p99 up to 1000 ms of (\d+) requests \(r1: up to (\d+) ms of (\d+)\)')
        self.assertEqual({status for _, status in answers}, {200})

    def test_what_speaks_against_a_canary_outlives_the_controller(self):
        bad = self.release({'FAIL_EVERY': '1'}, 'canary: {steps: [50%]}, gate: manual',
                           extra='outliers: off')
        self.cluster.apply(bad)
        connection = http.client.HTTPConnection('127.0.0.1', self.cluster.gateway_port, timeout=10)
        self.addCleanup(connection.close)

        def meet(times):
            while times > 0:
                times -= ask(connection)[0] == 2

        meet(16)
        wait_until(lambda: self.loads().get(2) == 16, 20, 'the proxy tells of all requests')
        self.cluster['controller'].kill()
        self.cluster.start('controller')
        self.cluster.wait_for_controller()
        kept = self.loads()[2]
        self.assertGreaterEqual(kept, 16 * 4 / 5)
        self.assertEqual(self.cluster.app()['rollout'], 'PROGRESSING')
        # Enough only together with those before; told by a proxy that may not be back yet.
        wait_until(lambda: self.cluster.count('proxies', state='synced') == 1, 20, 'the proxy')
        wait_until(lambda: self.cluster.app()['waits_for_promote'], 20, 'its reports')
        meet(20 - kept)
        wait_until(self.rolled_back, 20, 'the rollback')
        message = self.rolled_back()[0]
        self.assertRegex(message, r'revision 2 -> 1: errors 100\.0% of 20 requests')
        wait_until(lambda: self.cluster.app()['settled'], 60, 'all is as before')


if __name__ == '__main__':
    unittest.main()
