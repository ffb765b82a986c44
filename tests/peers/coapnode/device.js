// A thermometer of npm's coap-node, which brings its own object 3: node device.js HOST PORT ENDPOINT. Each line of its input is a new temperature.
const CoapNode = require('coap-node');
const SmartObject = require('smartobject');

const [host, port, endpoint] = process.argv.slice(2);
const objects = new SmartObject();
objects.init('temperature', 0, {sensorValue: 21.5, units: 'Cel'});
const node = new CoapNode(endpoint, objects, {lifetime: 300});
node.on('registered', () => console.log('registered'));
node.on('error', (error) => console.log('error', error.message));
node.register(host, Number(port), (error, response) => console.log('started', error && error.message, JSON.stringify(response)));
require('readline').createInterface({input: process.stdin}).on('line', (line) => {
    objects.write('temperature', 0, 'sensorValue', Number(line), () => console.log('changed'));
}).on('close', () => process.exit(0));
