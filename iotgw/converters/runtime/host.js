// What scripts find besides the language: text and base64, console, and Lobaro's host functions.
// A script's own function of the same name wins, because it shadows the global.
var BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
var SEXTETS = {};
for (var sextet = 0; sextet < 64; sextet++) SEXTETS[BASE64[sextet]] = sextet;
SEXTETS['-'] = 62;
SEXTETS['_'] = 63;

function encodeBase64(bytes) {
  var out = [];
  for (var i = 0; i < bytes.length; i += 3) {
    var rest = bytes.length - i, three = (bytes[i] & 255) << 16 | (rest > 1 ? (bytes[i + 1] & 255) << 8 : 0) | (rest > 2 ? bytes[i + 2] & 255 : 0);
    out[out.length] = BASE64[three >> 18] + BASE64[three >> 12 & 63] + (rest > 1 ? BASE64[three >> 6 & 63] : '=') + (rest > 2 ? BASE64[three & 63] : '=');
  }
  return joined(out, '');
}

function decodeBase64(encoded) {
  var clean = ('' + encoded).replace(/[\s=]+/g, ''), bytes = [], bits = 0, held = 0;
  if (clean.length % 4 === 1) throw new TypeError('not base64: a length of ' + clean.length);
  for (var i = 0; i < clean.length; i++) {
    var value = SEXTETS[clean[i]];
    if (value === undefined) throw new TypeError('not base64: ' + stringify(clean[i]) + ' at ' + i);
    held = (held << 6 | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) { bits -= 8; bytes.push(held >> bits & 255); }
  }
  return bytes;
}

// Duktape hashes every string that it makes: text is put together from few long pieces.
var PIECE = 1024;
function latin1(bytes) {
  var pieces = [];
  for (var i = 0; i < bytes.length; i += PIECE) {
    var piece = listSlice(bytes, i, i + PIECE);
    for (var j = 0; j < piece.length; j++) piece[j] &= 255;
    pieces[pieces.length] = apply(fromCharCode, null, piece);
  }
  return pieces.length === 1 ? pieces[0] : joined(pieces, '');
}

function latin1Bytes(string) {
  var bytes = [], s = '' + string;
  for (var i = 0; i < s.length; i++) bytes.push(s.charCodeAt(i) & 255);
  return bytes;
}

// UTF-8 where the bytes are UTF-8; otherwise each byte is a character, as ThingsBoard's examples have it.
var OwnDecoder = typeof TextDecoder === 'undefined' ? null : TextDecoder, OwnBytes = Uint8Array;
var isHigh = uncurry(RegExp.prototype.test), HIGH = /[\x80-\xff]/;
function utf8Decode(bytes) {
  if (OwnDecoder) {
    try { return new OwnDecoder('utf-8', {fatal: true}).decode(new OwnBytes(bytes)); } catch (notUtf8) { return latin1(bytes); }
  }
  var out = latin1(bytes);
  if (!isHigh(HIGH, out)) return out;
  try { out = decodeURIComponent(escape(out)); } catch (notUtf8) { return out; }
  return charCodeAt(out, 0) === 0xfeff ? slice(out, 1) : out;  // a byte order mark, as TextDecoder has it
}

function utf8Encode(string) {
  return latin1Bytes(unescape(encodeURIComponent(string)));
}

function give(name, value) {
  defineProperty(globalThis, name, {value: value, writable: true, configurable: true, enumerable: false});
}

give('decodeToString', utf8Decode);
give('decodeToJson', function (bytes) { return parse(utf8Decode(bytes)); });
give('btoa', function (string) { return encodeBase64(latin1Bytes(string)); });
give('atob', function (string) { return latin1(decodeBase64(string)); });
give('parseBase64', decodeBase64);
give('bytes', function (value) { return typeof value === 'string' ? latin1Bytes(value) : [].slice.call(value); });
give('string', function (bytes) { return latin1(bytes); });

give('__iotgw_at', function (loop) { reached = loop; return true; });

// --- numbers out of byte arrays ---

function view(bytes, offset, size) {
  var from = offset === undefined ? 0 : offset;
  if (bytes.length - from < size) {
    throw new RangeError('expected ' + size + ' bytes at ' + from + ', got ' + (bytes.length - from));
  }
  var data = new DataView(new ArrayBuffer(size));
  for (var i = 0; i < size; i++) data.setUint8(i, bytes[from + i] & 255);
  return data;
}
give('uint16BE', function (bytes, offset) { return view(bytes, offset, 2).getUint16(0, false); });
give('uint16LE', function (bytes, offset) { return view(bytes, offset, 2).getUint16(0, true); });
give('uint32BE', function (bytes, offset) { return view(bytes, offset, 4).getUint32(0, false); });
give('uint32LE', function (bytes, offset) { return view(bytes, offset, 4).getUint32(0, true); });
give('float32BE', function (bytes, offset) { return view(bytes, offset, 4).getFloat32(0, false); });
give('float32LE', function (bytes, offset) { return view(bytes, offset, 4).getFloat32(0, true); });

// --- console ---

function log() {
  if (logs.length >= LOG_LINES) {
    if (!logsCut) { logsCut = true; push(logs, '… more lines were left out'); }
    return;
  }
  var said = '';
  for (var i = 0; i < arguments.length; i++) {
    var value = arguments[i], shown;
    if (typeof value === 'object' && value !== null && !(value instanceof Error)) {
      try { shown = stringify(value); } catch (circular) { shown = '' + value; }
    } else {
      shown = value;
    }
    said += (i ? ' ' : '') + text(shown, LOG_CHARS);
  }
  push(logs, text(said, LOG_CHARS));
}
give('console', {log: log, info: log, warn: log, error: log, debug: log, trace: log});

// --- what Lobaro's parsers know of their device, and keep between messages ---

var device = {};
function setDevice(metadata) {
  var own = globalThis.Device;
  own.name = metadata.deviceName || '';
  own.address = metadata.devEui || metadata.devEUI || metadata.imei || metadata.identity || '';
  own.serial = metadata.serial || '';
  own.tags = metadata.tags || [];
}

function stateOf(part) {
  if (!call.state) {
    throw new Error('this converter keeps no state: set its option "state" to true');
  }
  if (!call.state[part]) call.state[part] = {};
  return call.state[part];
}
function getter(part) {
  return function (key) {
    var kept = stateOf(part)[key];
    return kept === undefined ? null : kept;
  };
}
function setter(part) {
  return function (key, value) {
    var kept = stateOf(part);
    if (value === undefined || value === null) delete kept[key];
    else kept[key] = value;
    call.changed = true;
  };
}
give('Device', {
  name: '', address: '', serial: '', tags: [],
  getProperty: getter('properties'), setProperty: setter('properties'),
  getConfig: getter('config'), setConfig: setter('config'),
  setLocation: function (longitude, latitude) {
    setter('properties')('location', {longitude: longitude, latitude: latitude});
  }
});

function partKey(key) { return key === undefined ? '' : '' + key; }
function partsOf(key) {
  var held = stateOf('partial')[partKey(key)];
  // what was not completed within a day never will be
  return held && call.received - held.t < 86400000 ? decodeBase64(held.b) : [];
}
function join(bytes, key) {
  var all = partsOf(key).concat([].slice.call(bytes));
  setter('partial')(partKey(key), {t: call.received, b: encodeBase64(all)});
  return all;
}
function clear(key) {
  var all = partsOf(key);
  setter('partial')(partKey(key), null);
  return all;
}
give('Parser', {
  // bytes gathered under a key over several messages; all of them so far come back
  joinPartial: join,
  clearPartial: clear,
  // (bytes, key) starts anew with these; (key) alone with nothing
  newPartial: function (bytes, key) {
    if (typeof bytes !== 'object') { clear(bytes); return []; }
    clear(key);
    return join(bytes, key);
  },
  parseWmbus: function () { throw new Error('Parser.parseWmbus is not available here'); }
});
function toMs(value, unit) {
  if (value instanceof NewDate) return value.getTime();
  if (typeof value === 'string' && unit !== 'UNIXMS' && unit !== 'UNIXS') return NewDate.parse(value);
  return unit === 'UNIXS' ? Number(value) * 1000 : Number(value);
}
give('Record', {
  getReceivedAt: function () { return call.received; },
  setTime: function (value) { call.time = toMs(value); },
  setTimeField: function (path, unit) { call.time = [path, unit || 'UNIXMS']; }
});

if (typeof TextDecoder === 'undefined') {
  give('TextDecoder', function () { this.encoding = 'utf-8'; });
  globalThis.TextDecoder.prototype.decode = function (bytes) { return utf8Decode(new Uint8Array(bytes.buffer || bytes)); };
  give('TextEncoder', function () { this.encoding = 'utf-8'; });
  globalThis.TextEncoder.prototype.encode = function (string) { return Uint8Array.from(utf8Encode(string)); };
}

// --- Buffer, as far as decoders that were written for Node or ChirpStack use it: bytes with Node's names ---

function fromText(string, encoding) {
  switch (('' + (encoding || 'utf8')).toLowerCase()) {
    case 'hex':
      return (('' + string).match(/[0-9a-f]{2}/gi) || []).map(function (pair) { return parseInt(pair, 16); });
    case 'base64': case 'base64url': return decodeBase64(string);
    case 'latin1': case 'binary': case 'ascii': return latin1Bytes(string);
    default: return utf8Encode(string);
  }
}
function bufferOf(bytes) {
  var buffer = new OwnBytes(bytes);
  var at = new DataView(buffer.buffer);
  function own(name, value) { defineProperty(buffer, name, {value: value, writable: true, configurable: true}); }
  own('toString', function (encoding, from, to) {
    var part = listSlice(buffer, from || 0, to === undefined ? buffer.length : to);
    switch (('' + (encoding || 'utf8')).toLowerCase()) {
      case 'hex': return hexOf(part);
      case 'base64': return encodeBase64(part);
      case 'latin1': case 'binary': case 'ascii': return latin1(part);
      default: return utf8Decode(part);
    }
  });
  own('slice', function (from, to) { return bufferOf(listSlice(buffer, from, to === undefined ? buffer.length : to)); });
  own('toJSON', function () { return {type: 'Buffer', data: listSlice(buffer)}; });
  own('equals', function (other) { return joined(listSlice(buffer), ',') === joined(listSlice(other), ','); });
  [['UInt16', 'Uint16'], ['Int16', 'Int16'], ['UInt32', 'Uint32'], ['Int32', 'Int32'], ['Float', 'Float32'],
   ['Double', 'Float64']].forEach(function (kind) {
    [['LE', true], ['BE', false]].forEach(function (order) {
      own('read' + kind[0] + order[0], function (offset) { return at['get' + kind[1]](offset || 0, order[1]); });
      own('write' + kind[0] + order[0], function (value, offset) {
        at['set' + kind[1]](offset || 0, value, order[1]);
        return (offset || 0) + parseInt(kind[1].slice(-2), 10) / 8;
      });
    });
  });
  own('readUInt8', function (offset) { return at.getUint8(offset || 0); });
  own('readInt8', function (offset) { return at.getInt8(offset || 0); });
  own('writeUInt8', function (value, offset) { at.setUint8(offset || 0, value); return (offset || 0) + 1; });
  own('writeInt8', function (value, offset) { at.setInt8(offset || 0, value); return (offset || 0) + 1; });
  return buffer;
}
delete globalThis.Buffer;
give('Buffer', {
  from: function (source, encoding) { return bufferOf(typeof source === 'string' ? fromText(source, encoding) : source); },
  alloc: function (size, value) {
    var bytes = [];
    for (var i = 0; i < size; i++) bytes.push((value || 0) & 255);
    return bufferOf(bytes);
  },
  concat: function (buffers) {
    var all = [];
    for (var i = 0; i < buffers.length; i++) all = all.concat(listSlice(buffers[i]));
    return bufferOf(all);
  },
  isBuffer: function (value) { return value instanceof OwnBytes && typeof value.readUInt8 === 'function'; },
  byteLength: function (source, encoding) { return typeof source === 'string' ? fromText(source, encoding).length : source.length; }
});
