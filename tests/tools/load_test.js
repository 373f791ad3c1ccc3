// The load client counts what fails: a test that trusts it must be able to.
'use strict';

const assert = require('node:assert');
const {execFile} = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const {test} = require('node:test');

function serve(handler) {
  return new Promise((resolve) => {
    const server = http.createServer(handler);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function load(server, ...options) {
  const url = typeof server === 'string' ? server : `http://127.0.0.1:${server.address().port}/`;
  const args = [path.join(__dirname, 'load.js'), '--url', url, ...options];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => resolve(
        {code: error ? error.code : 0, stderr, report: stdout ? JSON.parse(stdout) : null}));
  });
}

function close(server) {
  server.closeAllConnections?.();
  server.close();
}

test('counts every request once and keeps connections', async () => {
  let served = 0;
  const connections = new Set();
  const server = await serve((request, response) => {
    served += 1;
    connections.add(request.socket);
    response.end('ok');
  });
  const {report} = await load(server, '--requests', '200', '--connections', '4');
  close(server);
  assert.strictEqual(report.requests, 200);
  assert.strictEqual(served, 200);
  assert.strictEqual(report.failed, 0);
  assert.ok(connections.size <= 4);
  assert.ok(report.rps > 0 && report.p50_ms <= report.p99_ms && report.p99_ms <= report.max_ms);
});

test('mixes in POSTs and checks what comes back', async () => {
  const server = await serve((request, response) => {
    if (request.method === 'POST') request.pipe(response); else response.end('ok');
  });
  const honest = await load(server, '--requests', '100', '--post-percent', '30');
  close(server);
  assert.strictEqual(honest.report.posts, 30);
  assert.strictEqual(honest.report.failed, 0);

  const liar = await serve((request, response) => request.resume().on('end', () => response.end('x')));
  const {report} = await load(liar, '--requests', '10', '--post-percent', '100');
  close(liar);
  assert.deepStrictEqual(report.reasons, {'wrong body': 10});
});

test('a status of 400 and above is a failure, with its text', async () => {
  let served = 0;
  const server = await serve((request, response) => {
    served += 1;
    response.statusCode = served % 2 ? 503 : 200;
    response.end('no instance is ready');
  });
  const {report} = await load(server, '--requests', '10', '--connections', '1');
  close(server);
  assert.strictEqual(report.requests, 10);
  assert.strictEqual(report.failed, 5);
  assert.deepStrictEqual(report.reasons, {'status 503': 5});
  assert.match(report.first_errors[0].detail, /no instance is ready/);
});

test('never retries: a cut connection, a cut body and silence are failures', async () => {
  let served = 0;
  const server = await serve((request, response) => {
    served += 1;
    if (served === 1) {
      request.socket.destroy();
    } else if (served === 2) {
      response.writeHead(200, {'Content-Length': '100'});
      response.write('short', () => request.socket.destroy());
    } else if (served > 3) {
      response.end('ok');
    }  // the third is never answered
  });
  const {report} = await load(server, '--requests', '5', '--connections', '1', '--timeout', '0.3');
  close(server);
  assert.strictEqual(served, 5);
  assert.strictEqual(report.failed, 3);
  assert.strictEqual(report.reasons.timeout, 1);
});

test('a refused connection is a failure, and is not hammered', async () => {
  const server = await serve(() => {});
  const url = `http://127.0.0.1:${server.address().port}/`;
  close(server);
  const {report} = await load(url, '--duration', '0.5', '--connections', '2');
  assert.strictEqual(report.failed, report.requests);
  assert.ok(report.reasons.ECONNREFUSED > 0 && report.requests <= 60, report.requests);
});

test('ends early by a stop file and says when it is under way', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pando-load-'));
  const [ready, stop] = ['ready', 'stop'].map((name) => path.join(directory, name));
  const server = await serve((request, response) => {
    if (fs.existsSync(ready)) fs.writeFileSync(stop, '');
    response.end('ok');
  });
  const {report} = await load(server, '--duration', '30', '--ready-file', ready, '--stop-file', stop);
  close(server);
  fs.rmSync(directory, {recursive: true});
  assert.ok(report.requests > 0 && report.seconds < 10);
});

test('refuses public addresses and nonsense', async () => {
  for (const [url, ...options] of [
    ['http://example.com/'], ['http://8.8.8.8/'], ['https://127.0.0.1/'], ['nonsense'],
    ['http://127.0.0.1/', '--connections', '0'], ['http://127.0.0.1/', '--frobnicate', '1'],
  ]) {
    const {code, report, stderr} = await load(url, ...options);
    assert.strictEqual(code, 2, url);
    assert.strictEqual(report, null);
    assert.match(stderr, /^load\.js: --/);
  }
});
