"""Start, readiness and life are probed apart: by HTTP, by commands, by gRPC."""
import threading
import unittest

from pando_cluster import BIN, ClusterTest
from processes import wait_until

SECONDS = 60  # for what takes moments on an idle machine

# Is unhealthy while there is a file sick-<instance>, and hangs for good at /hang.
SERVER = '''
const fs = require('fs');
require('http').createServer((request, response) => {
  if (request.url === '/hang') for (;;);
  const sick = request.url === '/healthz' && fs.existsSync('sick-' + process.env.PANDO_INSTANCE);
  response.statusCode = sick ? 503 : 200;
  response.end(process.env.PANDO_INSTANCE);
}).listen(process.env.PORT);
'''


class ProbesTest(ClusterTest):
    def apply_server(self, *lines, replicas=1):
        (self.cluster.dir / 'server.js').write_text(SERVER, encoding='utf-8')
        self.cluster.apply('\n'.join(['name: web', 'command: [node, server.js]',
                                      f'dir: {self.cluster.dir}', f'replicas: {replicas}',
                                      *lines]) + '\n')

    def instance(self, name='web.1'):
        return next(i for i in self.cluster.ask('ps', 'web') if i['name'] == name)

    def wait_for_state(self, state, name='web.1'):
        last = {}

        def found():
            last.update(self.instance(name))
            return last if last['state'] == state else None
        return wait_until(found, SECONDS, lambda: f'{name} is {state}, last {last}')

    def told(self):
        return '\n'.join(event['message'] for event in self.cluster.events())

    def test_an_unhealthy_instance_leaves_the_rotation_and_comes_back_unharmed(self):
        self.cluster.start_all()
        self.apply_server('health: {path: /healthz, codes: 200, interval: 200ms, timeout: 5s}',
                          replicas=2)
        before = self.cluster.pids()
        sick = self.cluster.dir / 'sick-web.1'
        sick.touch()
        unhealthy = self.wait_for_state('unhealthy')
        self.assertIn('HTTP status 503', unhealthy['detail'])
        wait_until(lambda: {self.cluster.get('/')[2] for _ in range(10)} == {'web.2'}, SECONDS,
                   'only the healthy one answers')
        sick.unlink()
        self.wait_for_state('in-rotation')
        self.assertEqual(self.cluster.pids(), before)
        wait_until(lambda: self.cluster.get('/')[2] == 'web.1', SECONDS, 'it answers again')

    def test_an_app_that_hangs_is_started_again(self):
        self.cluster.start_all()
        self.apply_server('health: {tcp: true}',
                          'liveness: {path: /healthz, interval: 200ms, timeout: 3s, unhealthy: 2}',
                          'stop: {grace: 5s}')
        before = self.wait_for_state('in-rotation')
        port = int(before['address'].rpartition(':')[2])
        # The kernel still takes connections for it, so it looks well to a TCP probe.
        threading.Thread(target=lambda: self.try_get('/hang', port), daemon=True).start()
        wait_until(lambda: self.instance()['restarts'] == 1, SECONDS, 'it is started again')
        after = self.wait_for_state('in-rotation')
        self.assertNotEqual(after['pid'], before['pid'])
        self.assertIn('liveness probe failed: no answer within 3000 ms', self.told())

    def try_get(self, path, port):
        try:
            self.cluster.get(path, port=port)
        except OSError:
            pass

    def test_a_start_waits_for_its_command(self):
        self.cluster.start_all()
        applied = []

        def apply():
            applied.append(self.apply_server(
                'startup: {command: [sh, -c, "echo $PORT > port; test -e migrated"], timeout: 10s}',
                'health: {command: [sh, -c, "echo not now; test ! -e sick"], interval: 200ms, timeout: 10s}'))
        thread = threading.Thread(target=apply)
        thread.start()
        self.addCleanup(thread.join)
        wait_until(lambda: (self.cluster.dir / 'port').exists(), SECONDS, 'the command ran')
        self.assertEqual(self.instance()['state'], 'starting')
        (self.cluster.dir / 'migrated').touch()
        instance = self.wait_for_state('in-rotation')
        thread.join()
        self.assertEqual(len(applied), 1)
        self.assertEqual((self.cluster.dir / 'port').read_text().strip(),
                         instance['address'].rpartition(':')[2])
        (self.cluster.dir / 'sick').touch()
        self.assertIn('exited with code 1: not now', self.wait_for_state('unhealthy')['detail'])

    def test_grpc_health_is_asked(self):
        self.cluster.start_all()
        app = BIN.parent / 'tests' / 'agent_grpc_app'
        self.cluster.apply(f'name: web\ncommand: [{app}]\n'
                           'health: {grpc: true, interval: 200ms, timeout: 5s}\n')
        self.wait_for_state('in-rotation')


if __name__ == '__main__':
    unittest.main()
