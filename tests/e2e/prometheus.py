"""A real Prometheus (package prometheus) with the shipped configuration, for a test."""
import json
import pathlib
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request

import yaml

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / 'deploy' / 'prometheus'


def why_not():
    """Why no Prometheus can be started here; '' when one can."""
    return '' if shutil.which('prometheus') else 'needs the program prometheus (package prometheus)'


def _hurried_rules():
    """The shipped rules with every `for` cut to a second; windows stay as they are."""
    for path in sorted((SHIPPED / 'rules').glob('*.yml')):
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
        for group in document['groups']:
            for rule in group['rules']:
                if 'for' in rule:
                    rule['for'] = '1s'
        yield path.name, document


def prepare_prometheus(directory, port, controller_http_port):
    """Writes its files; (command line, Prometheus)."""
    config = yaml.safe_load((SHIPPED / 'prometheus.yml').read_text(encoding='utf-8'))
    config['global'] = {'scrape_interval': '500ms', 'evaluation_interval': '500ms'}
    for job in config['scrape_configs']:
        for discovery in job['http_sd_configs']:
            discovery['refresh_interval'] = '1s'
            discovery['url'] = re.sub(r':7480/', f':{controller_http_port}/', discovery['url'])
    rules = directory / 'rules'
    rules.mkdir(parents=True)
    for name, document in _hurried_rules():
        (rules / name).write_text(yaml.safe_dump(document), encoding='utf-8')
    (directory / 'prometheus.yml').write_text(yaml.safe_dump(config), encoding='utf-8')
    return ['prometheus', f'--config.file={directory}/prometheus.yml',
            f'--storage.tsdb.path={directory}/data', f'--web.listen-address=127.0.0.1:{port}',
            '--log.level=warn'], Prometheus(port)


class Prometheus:
    """Asks one over its HTTP API."""

    def __init__(self, port):
        self._base = f'http://127.0.0.1:{port}'

    def ready(self):
        try:
            with urllib.request.urlopen(f'{self._base}/-/ready', timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def _ask(self, path, **parameters):
        url = f'{self._base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}'
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)['data']
        except urllib.error.HTTPError as refused:
            raise AssertionError(f'{parameters}: {refused.read().decode()}') from None

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        data = self._ask('query', query=expression)
        if data['resultType'] == 'scalar':
            return [({}, float(data['result'][1]))]
        return [(series['metric'], float(series['value'][1])) for series in data['result']]

    def range(self, expression, start, end, step):
        """[(labels, [(time, value)])] of a range query."""
        data = self._ask('query_range', query=expression, start=start, end=end, step=step)
        return [(series['metric'], [(at, float(value)) for at, value in series['values']])
                for series in data['result']]

    def names(self):
        """Names of all series there are."""
        return set(self._ask('label/__name__/values'))

    def firing(self):
        """[labels] of the alerts that fire."""
        return [alert['labels'] for alert in self._ask('alerts')['alerts']
                if alert['state'] == 'firing']

    def fires(self, name, **labels):
        return any(alert['alertname'] == name and
                   all(alert.get(label) == value for label, value in labels.items())
                   for alert in self.firing())
