// A plain single-process HTTP server, of the kind people start from before they need more of them.
// It knows nothing of Pando but the environment it is given.
'use strict';

const http = require('node:http');

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

const routes = {
  'GET /': (request, response) => send(response, 200, 'text/plain', 'hello\n'),
  'GET /healthz': (request, response) => send(response, 200, 'text/plain', 'ok\n'),
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
