"""The access log of the real proxy: what it says, and that nothing is lost when it is rotated."""
import json
import unittest

from pando_cluster import ClusterTest, hello
from processes import wait_until


class AccessLogTest(ClusterTest):
    def lines(self, path):
        return path.read_text().splitlines() if path.exists() else []

    def test_requests_are_logged_and_the_log_can_be_rotated(self):
        log, old = self.cluster.dir / 'access.log', self.cluster.dir / 'access.log.1'
        self.cluster.start_controller()
        self.cluster.apply_gateway(self.cluster.gateway_port)
        self.cluster.start_agent()
        self.cluster.start_proxy('edge-1', '--access-log', log)
        self.cluster.apply(hello(2))
        wait_until(self.cluster.answers, 20, 'the app answers')
        before = len(wait_until(lambda: self.lines(log), 10, 'a line'))
        for number in range(10):
            self.cluster.get(f'/?{number}', headers={'User-Agent': 'test "quoted"'})
        wait_until(lambda: len(self.lines(log)) >= before + 10, 10, 'ten more lines')
        # Workers take turns: their lines are not in order.
        last = next(entry for entry in map(json.loads, self.lines(log)) if entry['path'] == '/?9')
        self.assertEqual((last['app'], last['status'], last['user_agent']),
                         ('hello', 200, 'test "quoted"'))
        self.assertTrue(last['request_id'])
        self.assertIn(last['instance'], ('hello.1', 'hello.2'))
        self.assertGreaterEqual(last['total_ms'], last['first_byte_ms'])

        log.rename(old)
        self.cluster['edge-1'].signal('SIGUSR1')
        wait_until(log.exists, 10, 'the log is there again')
        self.cluster.get('/after')
        wait_until(lambda: any('"/after"' in line for line in self.lines(log)), 10,
                   'the new file is written')
        self.assertFalse(any('"/after"' in line for line in self.lines(old)))


if __name__ == '__main__':
    unittest.main()
