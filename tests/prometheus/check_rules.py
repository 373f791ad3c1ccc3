#!/usr/bin/env python3
"""Every alert is told of in the same form, has a unit test, and is in the documentation."""
import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / 'deploy' / 'prometheus' / 'rules'
ANNOTATIONS = {'summary', 'description', 'command'}
SEVERITIES = {'page', 'ticket'}


def alerts():
    for path in sorted(RULES.glob('*.yml')):
        for group in yaml.safe_load(path.read_text(encoding='utf-8'))['groups']:
            yield from (rule for rule in group['rules'] if 'alert' in rule)


def tested():
    """Names of the alerts that some unit test expects to fire."""
    tests = yaml.safe_load((pathlib.Path(__file__).parent / 'alerts_test.yml').read_text('utf-8'))
    return {case['alertname'] for test in tests['tests']
            for case in test.get('alert_rule_test', []) if case['exp_alerts']}


def complaints():
    documented = (ROOT / 'docs' / 'monitoring.md').read_text(encoding='utf-8')
    names = [alert['alert'] for alert in alerts()]
    for alert in alerts():
        name = alert['alert']
        if set(alert.get('annotations', {})) != ANNOTATIONS:
            yield f'{name}: its annotations are not {", ".join(sorted(ANNOTATIONS))}'
        if alert.get('labels', {}).get('severity') not in SEVERITIES:
            yield f'{name}: its severity is not {" or ".join(sorted(SEVERITIES))}'
        if name not in tested():
            yield f'{name}: no test in alerts_test.yml expects it to fire'
        if f'`{name}`' not in documented:
            yield f'{name}: not in docs/monitoring.md'
    for name in sorted(tested() - set(names)):
        yield f'{name}: tested, but there is no such alert'
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f'{name}: defined twice'


if __name__ == '__main__':
    found = list(complaints())
    print('\n'.join(found) if found else 'every alert is tested and documented')
    sys.exit(1 if found else 0)
