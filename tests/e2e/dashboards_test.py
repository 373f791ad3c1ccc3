"""Every panel of every dashboard shows something of a real cluster that lived a little."""
import json
import os
import re
import signal
import subprocess
import unittest

import prometheus
from pando_cluster import ROOT, ClusterTest, hello
from processes import wait_until

METRICS = 'metrics: {path: /metrics}'
GRAFANA = ROOT / 'deploy' / 'grafana'
# What promQL calls a metric: a word that is followed by a selector, a range, or an operator.
WORDS = re.compile(r'\b(?:pando|process)_[a-z0-9_]+')


def expand(expression, rate_interval='1m'):
    """As Grafana fills in its variables when everything is chosen."""
    expression = expression.replace('$__rate_interval', rate_interval)
    return re.sub(r'\$(app|node|proxy)\b', '.*', expression)


def panels():
    """(dashboard, panel, query) of all dashboards."""
    for path in sorted((GRAFANA / 'dashboards').glob('*.json')):
        for panel in json.loads(path.read_text(encoding='utf-8'))['panels']:
            for target in panel['targets']:
                yield path.stem, panel['title'], expand(target['expr'])


class GeneratedTest(unittest.TestCase):
    def test_the_files_are_what_the_generator_writes(self):
        checked = subprocess.run([GRAFANA / 'generate', '--check'], capture_output=True, text=True,
                                 check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_no_panel_covers_another_and_all_have_a_title(self):
        for path in sorted((GRAFANA / 'dashboards').glob('*.json')):
            taken = set()
            for panel in json.loads(path.read_text(encoding='utf-8'))['panels']:
                at = panel['gridPos']
                cells = {(x, y) for x in range(at['x'], at['x'] + at['w'])
                         for y in range(at['y'], at['y'] + at['h'])}
                self.assertFalse(cells & taken, f'{path.name}: {panel["title"]}')
                self.assertLessEqual(at['x'] + at['w'], 24)
                self.assertTrue(panel['title'])
                taken |= cells


@unittest.skipIf(prometheus.why_not(), prometheus.why_not())
class DashboardsTest(ClusterTest):
    def test_no_panel_is_empty(self):
        self.cluster.start_all(agents=2)
        self.prometheus = self.cluster.start_prometheus()
        self.cluster.apply(hello(3, extra=METRICS))
        # What happens before the first scrape is no change to Prometheus.
        wait_until(lambda: self.prometheus.query('count(up{job="pando"} == 1) == 4') and
                   self.prometheus.query('pando_events_total'), 20, 'all daemons are scraped')
        with self.cluster.load(options=['--post-percent', '20']):
            victim = self.cluster.pids()['hello.2']
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: self.cluster.pids().get('hello.2', victim) != victim and
                       self.cluster.count('ps', state='in-rotation') == 3, 20, 'hello.2 is back')
            self.cluster.apply(hello(3, env={'RELEASE': '2'}, extra=METRICS))
            self.cluster.get('/', headers={'Host': 'nobody.test'})
            # Rates need two scrapes.
            wait_until(lambda: not self.empty(), 40, lambda: '\n'.join(self.empty()))
        known = self.prometheus.names()
        for dashboard, title, expression in panels():
            with self.subTest(f'{dashboard}: {title}'):
                for word in WORDS.findall(expression):
                    if not re.search(rf'[\w]:{word}\b|\b{word}:', expression):
                        self.assertIn(word, known)

    def empty(self):
        return [f'{dashboard}: {title}: {expression}' for dashboard, title, expression in panels()
                if not self.shows(expression)]

    def shows(self, expression):
        """Some number; NaN is what a quantile of nothing is."""
        return any(value == value for _, value in self.prometheus.query(expression))


if __name__ == '__main__':
    unittest.main()
