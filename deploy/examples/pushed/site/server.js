// Serves the pages beside it; needs no package. Read once: a release never changes.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const directory = path.join(__dirname, 'pages');
const pages = new Map(fs.readdirSync(directory).map(
    (name) => [`/${name}`, fs.readFileSync(path.join(directory, name))]));
pages.set('/', pages.get('/index.html'));
pages.set('/healthz', Buffer.from('ok\n'));

http.createServer((request, response) => {
  const page = pages.get(request.url.split('?', 1)[0]);
  response.writeHead(page ? 200 : 404, {'Content-Type': 'text/html; charset=utf-8'});
  response.end(page || 'not found\n');
}).listen(process.env.PORT);
