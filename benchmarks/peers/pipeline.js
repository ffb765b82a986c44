// What a good engineer writes by hand in an afternoon: node-coap, the converter, and mqtt.js or a keep-alive http.Agent.
//   node pipeline.js PORT mqtt|http TARGET_PORT
// It answers the device at once; what it holds is gone when it dies.
const fs = require('fs');
const http = require('http');
const path = require('path');
const coap = require('coap');
const mqtt = require('mqtt');

const [port, kind, target] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const script = fs.readFileSync(path.join(__dirname, 'decoder.js'), 'utf8');
const Decoder = new Function(script + '\nreturn Decoder;')();

function overMqtt() {
    const client = mqtt.connect({ host: '127.0.0.1', port: target, clientId: 'pipeline' });
    client.on('error', (error) => console.error(error.message));
    return (device, body) => client.publish('t/' + device, body, { qos: 1 });
}

function overHttp() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    const headers = { 'Content-Type': 'application/json' };
    const post = (device, body) => {
        const request = http.request({ host: '127.0.0.1', port: target, method: 'POST', path: '/', agent, headers }, (r) => r.resume());
        request.on('error', () => setTimeout(post, 1000, device, body));
        request.end(body);
    };
    return post;
}

const deliver = kind === 'mqtt' ? overMqtt() : overHttp();

coap.createServer((request, response) => {
    if (request.payload.length >= 24) {
        const output = Decoder(request.payload, {});
        deliver(output.deviceName, JSON.stringify(output));
    }
    response.code = '2.04';
    response.end();
}).listen(port, '127.0.0.1');
