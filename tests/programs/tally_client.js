// Node's http client: 200 requests to each PORT, five statuses in turn, four at a time over a keep-alive agent.
// tally_client.js PORT ...
'use strict';
const http = require('http');

const STATUSES = [200, 404, 429, 500, 503];
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

function ask(port, status) {
  return new Promise((done, fail) => {
    http
      .get({ host: '127.0.0.1', port, path: `/status/${status}`, agent }, (answer) => {
        let size = 0;
        answer.on('data', (chunk) => (size += chunk.length));
        answer.on('end', () =>
          answer.statusCode === status && size === 10 ? done() : fail(new Error(answer.statusCode)),
        );
      })
      .on('error', fail);
  });
}

(async () => {
  for (const port of process.argv.slice(2)) {
    const all = [];
    for (let i = 0; i < 200; i++) all.push(ask(port, STATUSES[i % 5]));
    await Promise.all(all);
  }
  agent.destroy();
})();
