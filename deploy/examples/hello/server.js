// A plain single-process HTTP server, of the kind people start from before they need more of them.
// It knows nothing of Pando but the environment it is given.
'use strict';

const http = require('node:http');
const {monitorEventLoopDelay} = require('node:perf_hooks');

const port = Number(process.env.PORT || 3000);
const serviceMs = Number(process.env.SERVICE_MS || 5);
const cell = new Int32Array(new SharedArrayBuffer(4));

// Blocks the event loop without using the CPU, like a synchronous call to a slow backend: one
// process then serves 1000 / SERVICE_MS requests a second, however many cores there are.
function block(ms) {
  if (ms > 0) Atomics.wait(cell, 0, 0, ms);
}

function send(response, status, type, body) {
  response.writeHead(status, {'Content-Type': type, 'Content-Length': Buffer.byteLength(body)});
  response.end(body);
}

// How long work waits for the event loop, of every 5 seconds, under the names prom-client uses:
// where the spec says `metrics: {path: /metrics}`, `ctl top instances` and the dashboards show it.
const delay = monitorEventLoopDelay({resolution: 10});
let waited = {mean: 0, p99: 0};
delay.enable();
setInterval(() => {
  waited = {mean: delay.mean / 1e9, p99: delay.percentile(99) / 1e9};
  delay.reset();
}, 5000).unref();

const routes = {
  'GET /': (request, response) => send(response, 200, 'text/plain', 'hello\n'),
  'GET /healthz': (request, response) => send(response, 200, 'text/plain', 'ok\n'),
  'GET /metrics': (request, response) => send(response, 200, 'text/plain; version=0.0.4',
    `nodejs_eventloop_lag_mean_seconds ${waited.mean}\nnodejs_eventloop_lag_p99_seconds ${waited.p99}\n`),
  'GET /work': (request, response) => {
    block(serviceMs);
    send(response, 200, 'text/plain', 'done\n');
  },
  'GET /whoami': (request, response) => {
    const me = {
      instance: process.env.PANDO_INSTANCE || '',
      revision: process.env.PANDO_REVISION || '',
      node: process.env.PANDO_NODE || '',
      pid: process.pid,
    };
    send(response, 200, 'application/json', JSON.stringify(me) + '\n');
  },
  'POST /echo': (request, response) => {
    const type = request.headers['content-type'] || 'application/octet-stream';
    response.writeHead(200, {'Content-Type': type});
    request.pipe(response);
  },
};

const server = http.createServer((request, response) => {
  const path = request.url.split('?', 1)[0];
  const handler = routes[`${request.method} ${path}`];
  if (handler) {
    handler(request, response);
  } else {
    send(response, 404, 'text/plain', 'not found\n');
  }
});

server.listen(port, () => console.log(`listening on port ${server.address().port}`));
