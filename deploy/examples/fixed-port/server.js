// A server that says its port in its source, as many do. Pando runs it as it is.
'use strict';

const http = require('node:http');

http.createServer((request, response) => {
  response.end(`${process.env.PANDO_INSTANCE || 'alone'}\n`);
}).listen(8080);
