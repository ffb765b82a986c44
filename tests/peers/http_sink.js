// A real HTTP server that keeps what it is sent and misbehaves as told (see http_sink.py).
const fs = require('fs');
const http = require('http');
const zlib = require('zlib');
const file = process.argv[3]; // where it keeps what it took, over its own end
const received = file && fs.existsSync(file)
  ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
let script = [];
let always = null;
let refused = null;

function body(request, done) {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const raw = Buffer.concat(parts);
    done(request.headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(raw) : raw);
  });
}

function keep(request, data) {
  const item = { at: Date.now(), method: request.method, path: request.url, headers: request.headers, body: data.toString('utf8') };
  received.push(item);
  if (file) fs.appendFileSync(file, `${JSON.stringify(item)}\n`);
}

function answer(response, step) {
  response.writeHead(step.status || 200, step.headers || {});
  response.end(step.body || '');
}

http.createServer((request, response) => {
  body(request, (data) => {
    if (request.url === '/_ping') return answer(response, { status: 204 });
    if (request.url === '/_received') return answer(response, { body: JSON.stringify(received) });
    if (request.url === '/_script') { script = JSON.parse(data); return answer(response, { status: 204 }); }
    if (request.url === '/_always') { always = JSON.parse(data); return answer(response, { status: 204 }); }
    if (request.url === '/_refuse') { refused = data.toString('utf8'); return answer(response, { status: 204 }); }
    if (refused && data.includes(refused)) return answer(response, { status: 400, body: 'refused' });
    const step = script.shift() || always || {};
    if (step.reset) return request.socket.resetAndDestroy();
    if (step.drop) { keep(request, data); return request.socket.destroy(); }
    if ((step.status || 200) < 300) keep(request, data);
    if (step.silent) return undefined;
    return setTimeout(() => answer(response, step), step.delay || 0);
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
