// Node's http server: `/status/N` is answered with N. tally_server.js PORT
'use strict';
const http = require('http');

http
  .createServer((request, response) => {
    response.writeHead(Number(request.url.split('/').pop()), { 'Content-Length': 10 });
    response.end('0123456789');
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
