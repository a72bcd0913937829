// One link of a chain of services, as chain.py says. node chain.js UPSTREAM BACKGROUND PORT
const http = require("http");
const background = process.argv[3];
const [upstream, port] = [process.argv[2], process.argv[4]].map(Number);
const agent = new http.Agent({ keepAlive: true });

const ask = (port, path) =>
  new Promise((done, failed) => {
    const request = http.get({ host: "127.0.0.1", port, path, agent }, (response) => {
      response.resume().on("end", done);
    });
    request.on("error", failed);
  });

const plan = (kind, name) => {
  const to = (kind, n) => [upstream, `/${kind}/${name}.${n}`];
  if (upstream === 0) return [];
  if (kind === "s") return name.split(".").length <= 3 ? [[[port, `/s/${name}.1`]]] : [];
  const plans = {
    c: [[to("c", 1)]],
    d: [[to("l", 1)]],
    q: [[to("l", 1)], [to("l", 2)]],
    p: [[to("l", 1), to("l", 2), to("l", 3)]],
    r: [[to("f", 1)], [to("l", 2)]],
  };
  return plans[kind] || [];
};

const pause = (millis) => new Promise((done) => setTimeout(done, millis));

const server = http.createServer(async (request, response) => {
  const [, kind, name] = request.url.split("/");
  if (kind === "d") await pause(1 + Math.random() * 19);
  if (kind === "l") await pause(Math.random() * 3);
  for (const group of plan(kind, name)) {
    await Promise.all(group.map(([port, path]) => ask(port, path)));
  }
  response.writeHead(kind === "f" ? 503 : 200, { "Content-Length": 2 });
  response.end("ok");
});
server.keepAliveTimeout = 60000;
server.listen(port, "127.0.0.1", 256);

const own = async () => {
  for (let n = 0; ; n++) {
    await pause(2 + Math.random() * 6);
    await ask(upstream, `/${background}/b${n}`);
  }
};
if (background !== "0") own();
