// A plant behind node-opcua: node server.js PORT FOLDER. Line1 has the variables speed (writable), label, and count, which goes up by itself,
// and the method double. What it keeps goes into FOLDER.
const { OPCUACertificateManager } = require('node-opcua-certificate-manager');
const { OPCUAServer } = require('node-opcua-server');
const { StatusCodes } = require('node-opcua-status-code');
const { DataType, Variant } = require('node-opcua-variant');

async function main(port, folder) {
  const certificates = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: true });
  const server = new OPCUAServer({ port, resourcePath: '/plant', serverCertificateManager: certificates, host: '127.0.0.1' });
  await server.initialize();
  const space = server.engine.addressSpace.registerNamespace('urn:plant');
  const line = space.addObject({
    organizedBy: server.engine.addressSpace.rootFolder.objects, browseName: 'Line1', nodeId: 's=Line1',
  });
  space.addVariable({
    componentOf: line, browseName: 'speed', nodeId: 's=Line1.speed', dataType: 'Double',
    value: new Variant({ dataType: DataType.Double, value: 10 }), minimumSamplingInterval: 20,
  });
  const count = space.addVariable({
    componentOf: line, browseName: 'count', nodeId: 's=Line1.count', dataType: 'UInt32', accessLevel: 'CurrentRead',
    value: new Variant({ dataType: DataType.UInt32, value: 0 }), minimumSamplingInterval: 20,
  });
  space.addVariable({
    componentOf: line, browseName: 'label', nodeId: 's=Line1.label', dataType: 'String',
    value: new Variant({ dataType: DataType.String, value: 'A1' }), minimumSamplingInterval: 20,
  });
  const double = space.addMethod(line, {
    browseName: 'double', nodeId: 's=Line1.double',
    inputArguments: [{ name: 'x', dataType: DataType.Double }],
    outputArguments: [{ name: 'y', dataType: DataType.Double }],
  });
  double.bindMethod((inputs, context, done) => done(null, {
    statusCode: StatusCodes.Good,
    outputArguments: [{ dataType: DataType.Double, value: inputs[0].value * 2 }],
  }));
  await server.start();
  let n = 0;
  setInterval(() => count.setValueFromSource({ dataType: DataType.UInt32, value: (n += 1) }), 100);
  console.log('up');
}

main(Number(process.argv[2]), process.argv[3]).catch((error) => { console.error(error); process.exit(1); });
