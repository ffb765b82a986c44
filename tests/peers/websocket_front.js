// MQTT over WebSockets in front of a broker that speaks TCP: node websocket_front.js PORT BROKER_PORT PATH [CERTIFICATE KEY]
// Takes this path only, and agrees on the subprotocol "mqtt". Each chunk from the broker leaves in two messages.
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const { WebSocketServer } = require('ws');

const [port, brokerPort, path, certificate, key] = process.argv.slice(2);
const server = certificate
  ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) })
  : http.createServer();
const sockets = new WebSocketServer({
  server, path, handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false),
});

sockets.on('connection', (socket) => {
  const broker = net.connect(Number(brokerPort), '127.0.0.1');
  socket.on('message', (data, isBinary) => (isBinary ? broker.write(data) : socket.close(1003)));
  broker.on('data', (data) => {
    socket.send(data.subarray(0, 1));
    socket.send(data.subarray(1));
    socket.ping();
  });
  socket.on('close', () => broker.end());
  broker.on('close', () => socket.close(1001));
  broker.on('error', () => socket.close(1011));
  socket.on('error', () => broker.destroy());
});
server.listen(Number(port), '127.0.0.1');
