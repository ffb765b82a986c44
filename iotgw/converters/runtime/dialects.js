// How each dialect's function is called. `payload` is an array of byte values in every dialect.
var given = '{}';   // the option `variables`, as JSON: each message has a copy of its own

function portOf(metadata) {
  var port = metadata.fPort !== undefined ? metadata.fPort : metadata.port;
  return typeof port === 'number' ? port : (Number(port) || 1);
}

function variablesOf(metadata) {
  return metadata.variables && typeof metadata.variables === 'object' ? metadata.variables : parse(given);
}

function hexOf(payload) {
  var digits = '0123456789abcdef', hex = [];
  for (var i = 0; i < payload.length; i++) hex[i] = digits[payload[i] >> 4] + digits[payload[i] & 15];
  return joined(hex, '');
}

// The JSON that a payload is, or null.
function documentOf(payload) {
  if (payload[0] !== 0x7b && payload[0] !== 0x5b) return null;
  try { return parse(utf8Decode(payload)); } catch (notJson) { return null; }
}

// Bytes of a text in hex, whatever is between the digits.
function bytesIn(hex) {
  var digits = replace('' + hex, /[^0-9a-fA-F]/g, ''), bytes = [];
  for (var i = 0; i + 2 <= digits.length; i += 2) push(bytes, parseInt(digits.substr(i, 2), 16));
  return bytes;
}

// Lobaro hands over the device's envelope {i, n, q, d}, or a LoRaWAN uplink with its data in base64.
function lobaroInput(payload, metadata) {
  if (payload[0] === 0x7b) {
    try { return parse(utf8Decode(payload)); } catch (notJson) { /* bytes that begin with a brace */ }
  }
  var input = {data: encodeBase64(payload), fPort: portOf(metadata)};
  var names = keys(metadata);
  for (var i = 0; i < names.length; i++) if (!(names[i] in input)) input[names[i]] = metadata[names[i]];
  var eui = metadata.devEUI || metadata.devEui;
  if (eui) input.devEUI = eui;
  else if (metadata.imei) input.i = metadata.imei;
  return input;
}

// An encoder may return its bytes as a list, a typed array or a Buffer, by themselves or under a name.
var isView = ArrayBuffer.isView, OwnArrayBuffer = ArrayBuffer;
function isBytes(value) { return isView(value) || value instanceof OwnArrayBuffer; }
function listOf(value) {
  return listSlice(isView(value) ? new OwnBytes(value.buffer, value.byteOffset, value.byteLength) : new OwnBytes(value));
}
function listed(made, name) {
  if (isBytes(made)) return listOf(made);
  if (!name || made === null || typeof made !== 'object' || !isBytes(made[name])) return made;
  var copy = {}, names = keys(made);
  for (var i = 0; i < names.length; i++) copy[names[i]] = made[names[i]];
  copy[name] = listOf(made[name]);
  return copy;
}

var adapters = {
  'thingsboard': function (fn) { return fn; },
  // TS013 normalizeUplink takes what decodeUplink made of it
  'ts013': function (fn, normalize) {
    return function (payload, metadata, received) {
      var made = fn({bytes: payload, fPort: portOf(metadata), recvTime: new NewDate(received),
                     variables: variablesOf(metadata)});
      if (!normalize || !made || !made.data || (made.errors && made.errors.length)) return made;
      var normal = normalize({data: made.data, fPort: portOf(metadata), variables: variablesOf(metadata)});
      return {data: normal.data, errors: normal.errors, warnings: (made.warnings || []).concat(normal.warnings || []), normalized: true,
              reply: made.reply, session: made.session};
    };
  },
  'chirpstack-v3': function (fn) {
    return function (payload, metadata) { return fn(portOf(metadata), payload, variablesOf(metadata)); };
  },
  'ttn-v2': function (fn) {
    return function (payload, metadata) { return fn(payload, portOf(metadata)); };
  },
  // Datacake's for what is no LoRaWAN: what is called base64 are the bytes
  'datacake': function (fn) {
    return function (payload) { return fn(payload, listSlice(payload)); };
  },
  'lobaro': function (fn) {
    return function (payload, metadata, received) {
      setDevice(metadata);
      return fn(lobaroInput(payload, metadata));
    };
  },
  'module': function (fn) {
    return function (payload, metadata) { return fn(hexOf(payload), metadata); };
  },
  'decentlab': function (fn) {
    return function (payload) {
      logs = [];  // these scripts print an example of their own each time that they are run
      return fn(payload);
    };
  },
  'milesight': function (fn) { return function (payload) { return fn(payload); }; },
  // Downlinks: what comes in place of the payload is [msg, msgType, integrationMetadata].
  'thingsboard-encoder': function (fn) {
    return function (message, metadata) { return listed(fn(message[0], metadata, message[1], message[2]), 'data'); };
  },
  // TS013 decodeDownlink says what the bytes mean: it is shown with them
  'ts013-encoder': function (fn, normalize, decode) {
    return function (message, metadata) {
      var made = listed(fn({data: message[0], fPort: portOf(metadata), variables: variablesOf(metadata)}), 'bytes');
      if (!decode || !made || !made.bytes) return made;
      var warnings = made.warnings || [], meant = null;
      try {
        meant = decode({bytes: listSlice(made.bytes), fPort: made.fPort || portOf(metadata), variables: variablesOf(metadata)});
      } catch (error) {
        // it only shows what was encoded: the downlink is none the worse for it
        warnings = listSlice(isArray(warnings) ? warnings : [warnings]);
        push(warnings, 'decodeDownlink: ' + read(error).message);
      }
      return {bytes: made.bytes, fPort: made.fPort, warnings: warnings, errors: made.errors, decoded: meant ? meant.data : undefined};
    };
  },
  'chirpstack-v3-encoder': function (fn) {
    return function (message, metadata) { return listed(fn(portOf(metadata), message[0], variablesOf(metadata))); };
  },
  'ttn-v2-encoder': function (fn) {
    return function (message, metadata) { return listed(fn(message[0], portOf(metadata)), 'bytes'); };
  }
};
