"""Code that is pushed with its spec: packed by ctl, kept by the controller, run by the agents."""
import json
import os
import signal
import unittest

from pando_cluster import ERROR, ClusterTest
from processes import wait_until

GRACE_SECONDS = 20
PATIENCE = 60

SERVER = """'use strict';
const fs = require('node:fs');
const file = process.env.FILE || 'version.txt';
require('node:http').createServer((request, response) => response.end(fs.readFileSync(file)))
  .listen(process.env.PORT);
"""


def spec(source, replicas=2, extra=''):
    return '\n'.join([
        'name: web', 'command: [node, server.js]', f'source: {source}', f'replicas: {replicas}',
        'health: {path: /, interval: 200ms, timeout: 2s, startup: 30s}',
        'stop: {grace: 5s, drain: 10s}', extra]) + '\n'


class ArtifactTest(ClusterTest):
    def setUp(self):
        super().setUp()
        cluster = self.cluster
        cluster.start_controller('--artifact-grace', f'{GRACE_SECONDS}s')
        cluster.apply_gateway(cluster.gateway_port)
        for node in ('node-1', 'node-2'):
            cluster.start_agent(node)
        cluster.start_proxy()
        wait_until(lambda: cluster.count('nodes', state='ready') == 2, PATIENCE, 'agents are ready')
        wait_until(lambda: cluster.count('proxies', state='synced') == 1, PATIENCE, 'the proxy is synced')
        self.code = cluster.dir / 'code'
        self.code.mkdir()
        self.write('server.js', SERVER)
        self.write('version.txt', 'one')

    def write(self, name, text):
        (self.code / name).write_text(text, encoding='utf-8')

    def trees(self, node):
        """The artifacts that are complete on a node."""
        return sorted(path.stem for path in (self.cluster.dir / node / 'artifacts').glob('*.ok'))

    def kept(self):
        return sorted(path.name for path in (self.cluster.dir / 'controller' / 'artifacts').iterdir())

    def body(self):
        status, _, body = self.cluster.get('/')
        self.assertEqual(status, 200, body)
        return body

    def test_a_directory_becomes_a_release_on_every_node(self):
        self.write('.pandoignore', 'secret\n')
        self.write('secret', 'not for the nodes')
        self.cluster.apply(spec('./code'))
        self.assertEqual(self.body(), 'one')
        self.assertEqual(len(self.trees('node-1')), 1)
        self.assertEqual(self.trees('node-1'), self.trees('node-2'))
        self.assertEqual(self.trees('node-1'), self.kept())
        for pid in self.cluster.pids().values():
            cwd = os.readlink(f'/proc/{pid}/cwd')
            self.assertIn('/artifacts/' + self.kept()[0], cwd)
            self.assertEqual(sorted(os.listdir(cwd)), ['.pandoignore', 'server.js', 'version.txt'])
            self.assertEqual(os.stat(cwd).st_mode & 0o777, 0o555)

        again = self.cluster.apply(spec('./code'))
        self.assertIn('unchanged', again.stdout)

        self.write('version.txt', 'two')
        self.cluster.apply(spec('./code'))
        self.assertEqual(self.body(), 'two')
        # The release before stays where it was: a rollback needs no network.
        self.assertEqual(len(self.trees('node-1')), 2)

    def test_what_no_release_names_is_dropped_by_the_controller(self):
        self.cluster.apply(spec('./code'))
        released = self.kept()
        self.write('version.txt', 'never released')
        name = self.cluster.ctl('push', 'code').stdout.strip()
        self.assertRegex(name, '^sha256:[0-9a-f]{64}$')
        self.assertEqual(len(self.kept()), 2)
        wait_until(lambda: self.kept() == released, GRACE_SECONDS + PATIENCE,
                   'the artifact is dropped')
        missing = self.cluster.apply(spec(name), expect=ERROR)
        self.assertIn('the controller does not have ' + name, missing.stdout + missing.stderr)
        # Pushed again it can be named, and is not sent by apply.
        self.cluster.ctl('push', 'code')
        self.cluster.apply(spec(name))
        self.assertEqual(self.body(), 'never released')

    def test_code_is_there_without_the_controller(self):
        self.cluster.apply(spec('./code', replicas=1))
        [pid] = self.cluster.processes()
        self.cluster['controller'].kill()
        os.kill(pid, signal.SIGKILL)

        def another():
            running = set(self.cluster.processes()) - {pid}
            return running and self.cluster.answers()

        wait_until(another, PATIENCE, 'the instance runs again')
        for node in ('node-1', 'node-2'):
            self.cluster[node].kill()
            self.cluster.start(node)
        [pid] = self.cluster.processes()
        os.kill(pid, signal.SIGKILL)
        wait_until(another, PATIENCE, 'a restarted agent runs it again')
        self.assertEqual(self.body(), 'one')

    def test_an_install_step_runs_once_a_node(self):
        count = self.cluster.dir / 'count'
        install = f'cp version.txt installed.txt && echo x >> {count}'
        self.cluster.apply(spec(f'{{dir: ./code, install: "{install}"}}', replicas=4,
                                extra='env: {FILE: installed.txt}'))
        self.assertEqual(self.body(), 'one')
        self.assertEqual(count.read_text(), 'x\nx\n')

    def test_a_failed_install_step_is_told_with_its_last_line(self):
        install = "echo fetching; echo 'no such package'; exit 3"
        self.cluster.ctl('apply', '--detach', '-f', '-',
                         stdin=spec(f'{{dir: ./code, install: "{install}"}}', replicas=1))
        said = 'install failed: exit 3: no such package'

        def told():
            return any(said in instance['detail'] for instance in self.cluster.ask('ps'))

        wait_until(told, PATIENCE, 'ps says so')
        wait_until(lambda: [event for event in self.cluster.events()
                            if event['kind'] == 'prepare-failed' and said in event['message'] and
                            'fetching | no such package | all of it: ' in event['message']],
                   PATIENCE, 'an event says so')
        # The step is tried again, with a log of its own.
        wait_until(lambda: [log for log in self.cluster.dir.glob('node-*/artifacts/*.log')
                            if log.read_text() == 'fetching\nno such package\n' and
                            any(str(log) in event['message'] for event in self.cluster.events())],
                   PATIENCE, 'the whole log is where the event says')

    def test_what_cannot_be_packed_is_an_error_of_the_spec_file(self):
        os.symlink('/etc/passwd', self.code / 'link')
        failed = self.cluster.apply(spec('./code'), expect=ERROR)
        self.assertIn('app.yaml:3: source: link -> /etc/passwd is a link to an absolute path',
                      failed.stderr)
        missing = self.cluster.apply(spec('./nothing'), expect=ERROR)
        self.assertIn('app.yaml:3: source: ', missing.stderr)
        os.unlink(self.code / 'link')
        pushed = json.loads(self.cluster.ctl('push', '--dry-run', '-o', 'json', 'code').stdout)
        self.assertTrue(pushed['digest'].startswith('sha256:'))
        self.assertEqual(self.kept(), [])


if __name__ == '__main__':
    unittest.main()
