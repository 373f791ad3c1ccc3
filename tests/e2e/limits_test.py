"""Instances are held to what their spec allows, and what comes of it is told."""
import pathlib
import unittest
import urllib.request

from pando_cluster import ROLLOUT_FAILED, ClusterTest
from processes import wait_until

NODE_HOG = ("require('http').createServer((q, s) => s.end('ok')).listen(process.env.PORT); "
            "const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 10)")
PARENT_OF_A_HOG = """'use strict';
const {spawn} = require('node:child_process');
// The kernel takes the largest: the child, at once.
require('node:http').createServer((request, response) => {
  if (request.url === '/hog') {
    const hog = spawn(process.execPath, ['-e',
      'const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 5)']);
    hog.on('exit', () => response.end('gone'));
  } else {
    response.end('ok');
  }
}).listen(process.env.PORT);
"""
PYTHON_HOG = "x = [bytearray(b'1') * (8 << 20) for _ in range(1000)]"


def memory_is_held():
    controllers = pathlib.Path('/sys/fs/cgroup/cgroup.controllers')
    version_2 = controllers.exists() and 'memory' in controllers.read_text().split()
    return version_2 or pathlib.Path('/sys/fs/cgroup/memory/memory.limit_in_bytes').exists()


@unittest.skipUnless(memory_is_held(), 'this host has no control groups that hold memory')
class LimitsTest(ClusterTest):
    def metric(self, name, app):
        port = self.cluster.http_ports['node-1']
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        values = [float(line.rpartition(' ')[2]) for line in lines
                  if line.startswith(name + '{') and f'app="{app}"' in line]
        return sum(values)

    def details(self, app):
        return [instance['detail'] for instance in self.cluster.ask('ps', app)]

    def test_a_node_hog_is_killed_at_its_limit_and_started_again(self):
        self.cluster.start_all()
        self.cluster.apply('name: hog\n'
                           f'command: [node, -e, "{NODE_HOG}"]\n'
                           'resources: {max_memory: 160Mi}\n'
                           'health: {interval: 100ms}\n')
        wait_until(lambda: self.metric('pando_agent_instance_oom_kills_total', 'hog') >= 2, 60,
                   'it was killed twice')
        wait_until(lambda: 'OOMKilled at 160 MiB' in self.cluster.ctl('ps').stdout, 60,
                   'ctl ps says so')
        messages = [event['message'] for event in self.cluster.events('hog')]
        self.assertTrue(any('OOMKilled at 160 MiB' in message for message in messages), messages)

    def test_a_python_hog_never_comes_up(self):
        self.cluster.start_all()
        failed = self.cluster.apply('name: hog\n'
                                    f'command: [python3, -c, "{PYTHON_HOG}"]\n'
                                    'resources: {max_memory: 64Mi}\n', expect=ROLLOUT_FAILED)
        self.assertIn('OOMKilled at 64 MiB', failed.stdout + failed.stderr)

    def test_a_child_that_is_killed_at_the_limit_is_told(self):
        self.cluster.start_all()
        server = self.cluster.dir / 'server.js'
        server.write_text(PARENT_OF_A_HOG, encoding='utf-8')
        self.cluster.apply('name: parent\n'
                           f'command: [node, {server}]\n'
                           'resources: {max_memory: 160Mi}\n'
                           'route: {path: /}\n'
                           'health: {interval: 100ms}\n')
        self.cluster.get('/hog')
        told = 'of its child processes was OOMKilled at 160 MiB'
        wait_until(lambda: f'1 {told}' in self.cluster.ctl('ps').stdout, 60, 'ctl ps says so')
        self.assertIn(f'1 {told}', self.cluster.ctl('why', 'parent.1').stdout)
        [event] = [event for event in self.cluster.events('parent')
                   if event['kind'] == 'child-oom-killed']
        self.assertEqual(event['instance'], 'parent.1')
        [instance] = self.cluster.ask('ps', 'parent')
        self.assertEqual((instance['state'], instance['restarts']), ('in-rotation', 0))

    def test_groups_go_with_their_instances(self):
        self.cluster.start_all()
        self.cluster.apply('name: hello\n'
                           'command: [python3, -m, http.server, $PORT]\nshell: true\n'
                           'resources: {max_cpu: 500m, max_memory: 200Mi, max_processes: 50}\n')
        groups = [line for path in self.cluster.dir.glob('*/instances/*/cgroup')
                  for line in path.read_text().split()]
        self.assertTrue(groups)
        self.assertTrue(all(pathlib.Path(group).is_dir() for group in groups), groups)
        wait_until(lambda: self.metric('pando_instance_memory_limit_bytes', 'hello') == 200 << 20,
                   60, 'the limit is told')
        self.cluster.ctl('rm', 'hello', '-y')
        wait_until(lambda: not any(pathlib.Path(group).exists() for group in groups), 60,
                   'the groups are gone')


if __name__ == '__main__':
    unittest.main()
