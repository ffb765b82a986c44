// A device on npm's coap as a program: coap_device.js PORT. As aiocoap_device.py, without /silent and /short.
'use strict'
const coap = require('coap')

const server = coap.createServer((request, response) => {
  const path = request.url.split('?')[0]
  if (path === '/downlink' && request.method === 'POST') {
    response.code = '2.04'
    response.setOption('Content-Format', 'application/octet-stream')
    response.end(Buffer.from(request.payload).reverse())
  } else if (path === '/clock' && request.headers.Observe === 0) {
    let count = 0
    response.write(String(count))
    const timer = setInterval(() => response.write(String(++count)), 200)
    response.on('finish', () => clearInterval(timer))
  } else if (path === '/clock') {
    response.end('once')
  } else {
    response.code = '4.04'
    response.end()
  }
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'))
