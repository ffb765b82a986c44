// node-coap as it comes: a server that answers each POST with an empty 2.04.   node intake.js PORT
const coap = require('coap');

coap.createServer((request, response) => {
    response.code = '2.04';
    response.end();
}).listen(Number(process.argv[2]), '127.0.0.1');
