// akenza's scripts hand over what they have by emit(type, value), and find Bits and Hex (device-type-library: README,
// lib/bits, lib/hex); loaded for scripts that name one of them.
var MAX_EMITTED = 10000;
var emitted = [];

give('emit', function (type, value) {
  if (type === 'log') log(value);
  else if (type === 'state') {
    if (!call.state) return;  // without the option `state` nothing is kept
    call.state.akenza = value;
    call.changed = true;
  } else {
    if (emitted.length >= MAX_EMITTED) throw new RangeError('expected at most ' + MAX_EMITTED + ' calls of emit');
    push(emitted, ['' + type, parse(stringify(value === undefined ? null : value))]);  // as it is now: scripts use objects again
  }
});

function bitsOfHex(hex) {
  var digits = ('' + hex).toLowerCase(), bits = [];
  for (var i = 0; i < digits.length; i++) {
    var value = '0123456789abcdef'.indexOf(digits[i]);
    if (value < 0) return '';
    bits[i] = slice('000' + value.toString(2), -4);
  }
  return joined(bits, '');
}
function unsignedOf(bits) { return parseInt(bits, 2); }
function signedOf(bits) {
  var value = parseInt(bits, 2), limit = Math.pow(2, bits.length - 1);
  if (value !== value) throw new RangeError('expected a text of bits, got ' + stringify(bits));
  return value >= limit ? value - limit - limit : value;
}
function bytesOfHex(hex) {
  var bytes = [];
  for (var i = 0; i < hex.length; i += 2) push(bytes, parseInt(hex.substr(i, 2), 16));
  return bytes;
}
function swapped(hex, isSigned) {
  var pairs = [];
  for (var i = 0; i + 2 <= hex.length; i += 2) pairs.unshift(slice(hex, i, i + 2));
  var bits = bitsOfHex(joined(pairs, ''));
  return isSigned === undefined || isSigned ? signedOf(bits) : unsignedOf(bits);
}
function hexOfSigned(bytes) {
  var clean = [];
  for (var i = 0; i < bytes.length; i++) clean[i] = bytes[i] & 255;
  return hexOf(clean);
}
give('Bits', {
  hexToBits: bitsOfHex, bitsToUnsigned: unsignedOf, bitsToSigned: signedOf, bytesToHex: hexOfSigned,
  base64ToBits: function (data) { return bitsOfHex(hexOf(decodeBase64(data))); },
  base64ToBytes: function (data) { return decodeBase64(data); }
});
give('Hex', {hexToBytes: bytesOfHex, bytesToHex: hexOfSigned, hexLittleEndianToBigEndian: swapped});

function akenzaDevice(metadata) {
  return {
    deviceId: metadata.devEui || metadata.devEUI || metadata.imei || metadata.identity || metadata.deviceName || '',
    name: metadata.deviceName || '', customFields: variablesOf(metadata), tags: isArray(metadata.tags) ? metadata.tags : []
  };
}

adapters.akenza = function (fn) {
  return function (payload, metadata, received) {
    var data = documentOf(payload);
    if (data === null) data = {port: portOf(metadata), payloadHex: hexOf(payload)};
    emitted = [];
    fn({type: 'uplink', data: data, device: akenzaDevice(metadata), state: call.state && call.state.akenza || {},
        uplinkMetrics: parse(stringify(metadata)), timestamp: new NewDate(received)});
    return emitted.length ? emitted : null;
  };
};
adapters['akenza-encoder'] = function (fn) {
  return function (message, metadata) {
    var wanted = message[0], event = {type: 'downlink', payload: wanted, data: wanted, device: akenzaDevice(metadata)};
    if (isObject(wanted) && ('payload' in wanted || 'payloadHex' in wanted || isObject(wanted.data))) {
      for (var names = keys(wanted), i = 0; i < names.length; i++) event[names[i]] = wanted[names[i]];
    }
    if (metadata.fPort !== undefined && event.port === undefined) event.port = portOf(metadata);
    emitted = [];
    fn(event);
    for (var j = emitted.length - 1; j >= 0; j--) {
      if (emitted[j][0] !== 'downlink') continue;
      var made = emitted[j][1] || {};
      return {bytes: bytesOfHex('' + (made.payloadHex || '')), fPort: made.port, confirmed: made.confirmed};
    }
    throw new Error("expected emit('downlink', {payloadHex, port}), nothing was emitted");
  };
};
