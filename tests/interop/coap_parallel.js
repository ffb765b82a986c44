// Two POSTs at the same time from one socket of npm's coap: `coap_parallel.js MODULE HOST PORT PATH FILE FILE`;
// prints the codes of the answers. (It keeps one token per upload, and sends no Request-Tag.)
const fs = require('fs')
const [module_, hostname, port, pathname, ...files] = process.argv.slice(2)
const coap = require(module_)
const agent = new coap.Agent({ type: 'udp4' })

const post = (file) => new Promise((resolve, reject) => {
  const request = coap.request({ hostname, port: Number(port), pathname, method: 'POST', agent })
  request.setOption('Block1', Buffer.of(0x06))
  request.on('response', (response) => resolve(response.code))
  request.on('error', reject)
  request.end(fs.readFileSync(file))
})

setTimeout(() => process.exit(1), 15000).unref()
Promise.all(files.map(post)).then((codes) => {
  console.log(codes.join(' '))
  process.exit(0)
})
