// Node's Buffer, loaded for scripts that name it: what it gives and throws is compared with node's
// (tests/data/node_calls.json). Beyond node's there are 24-bit reads and writes by name.
(function () {
var Bytes = OwnBytes, View = DataView, setProto = Object.setPrototypeOf, floor = Math.floor;
var nativeMap = uncurry(Bytes.prototype.map || Array.prototype.map), nativeFilter = uncurry(Bytes.prototype.filter || Array.prototype.filter);

function wrong(Kind, code, message) {
  var error = new Kind(message);
  error.code = code;
  return error;
}

// --- text and bytes ---
function encodingOf(name) {
  var known = ('' + (name || 'utf8')).toLowerCase();
  switch (known) {
    case 'utf8': case 'utf-8': return 'utf8';
    case 'latin1': case 'binary': return 'latin1';
    case 'ucs2': case 'ucs-2': case 'utf16le': case 'utf-16le': return 'utf16le';
    case 'hex': case 'base64': case 'base64url': case 'ascii': return known;
  }
  return null;
}
function encodingFor(name) {
  var encoding = encodingOf(name);
  if (!encoding) throw wrong(TypeError, 'ERR_UNKNOWN_ENCODING', 'Unknown encoding: ' + name);
  return encoding;
}
// as node reads it: what is none of the alphabet is passed over, and padding ends it
function lenient(string) {
  var bytes = [], held = 0, bits = 0;
  for (var i = 0; i < string.length && string.charAt(i) !== '='; i++) {
    var value = SEXTETS[string.charAt(i)];
    if (value === undefined) continue;
    held = (held << 6 | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) { bits -= 8; bytes[bytes.length] = held >> bits & 255; }
  }
  return bytes;
}
function wide(string) {
  var bytes = [];
  for (var i = 0; i < string.length; i++) bytes.push(string.charCodeAt(i) & 255, string.charCodeAt(i) >> 8);
  return bytes;
}
function fromText(string, encoding) {
  switch (encodingFor(encoding)) {
    case 'hex':
      var pairs = /^(?:[0-9a-f]{2})*/i.exec(string)[0], bytes = [];
      for (var i = 0; i < pairs.length; i += 2) bytes.push(parseInt(pairs.substr(i, 2), 16));
      return bytes;
    case 'base64': case 'base64url': return lenient(string);
    case 'latin1': case 'ascii': return latin1Bytes(string);
    case 'utf16le': return wide(string);
    default: return utf8Encode(wellFormed(string));
  }
}
function wellFormed(string) {
  return string.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, function (pair) { return pair.length === 2 ? pair : '\ufffd'; });
}
function toText(bytes, encoding) {
  switch (encodingFor(encoding)) {
    case 'hex': return hexOf(bytes);
    case 'base64': return encodeBase64(bytes);
    case 'base64url': return encodeBase64(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
    case 'latin1': return latin1(bytes);
    case 'ascii':
      for (var i = 0; i < bytes.length; i++) bytes[i] &= 127;
      return latin1(bytes);
    case 'utf16le':
      var units = [];
      for (var j = 0; j + 1 < bytes.length; j += 2) units.push(fromCharCode(bytes[j] | bytes[j + 1] << 8));
      return joined(units, '');
    default: return utf8Replaced(bytes);
  }
}

// --- how one is made ---
function shared(memory, offset, length) {
  var made = length === undefined ? new Bytes(memory, offset || 0) : new Bytes(memory, offset || 0, length);
  return setProto(made, proto);
}
function owned(source) { return setProto(new Bytes(source), proto); }
function sized(size, value, encoding) {
  if (typeof size !== 'number') throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "size" argument must be of type number');
  if (!(size >= 0 && size <= 0x7fffffff)) throw wrong(RangeError, 'ERR_OUT_OF_RANGE', 'The value of "size" is out of range');
  var made = owned(floor(size));
  return value === undefined || value === 0 ? made : made.fill(value, encoding);
}
function fromList(source) {
  var made = owned(source.length > 0 ? floor(source.length) : 0);
  for (var i = 0; i < made.length; i++) made[i] = source[i];
  return made;
}
function from(source, more, length) {
  if (typeof source === 'string') return owned(fromText(source, more));
  if (isObject(source)) {
    if (source instanceof OwnArrayBuffer) return shared(source, more, length);
    var value = typeof source.valueOf === 'function' ? source.valueOf() : source;
    if (value !== null && value !== undefined && value !== source && (typeof value === 'string' || isObject(value))) return from(value, more, length);
    if (typeof source.length === 'number') return fromList(source);
    if (source.buffer instanceof OwnArrayBuffer) return fromList([]);
    if (source.type === 'Buffer' && isArray(source.data)) return fromList(source.data);
  }
  throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The first argument must be of type string or an instance of Buffer, ' +
    'ArrayBuffer, or Array or an Array-like Object. Received ' + (isObject(source) ? 'an object' : '' + source));
}
function Buffer(source, more, length) {
  return typeof source === 'number' ? sized(source) : from(source, more, length);
}
function give$(target, name, value) { defineProperty(target, name, {value: value, writable: true, configurable: true, enumerable: false}); }

var proto = create(Bytes.prototype);
defineProperty(Buffer, 'prototype', {value: proto, writable: false, enumerable: false, configurable: false});
give$(proto, 'constructor', Buffer);
if (typeof Symbol !== 'undefined' && Symbol.species) {
  give$(Buffer, Symbol.species, function (source, offset, length) { return isObject(source) ? shared(source, offset, length) : owned(source); });
}
function isBuffer(value) { return value instanceof Buffer; }
function isByteView(value) { return value instanceof Bytes; }
function needBytes(value, name) {
  if (!isByteView(value)) throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "' + name + '" argument must be an instance of Buffer or Uint8Array');
  return value;
}
function order(a, b) {
  for (var i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

var made = {
  from: from,
  alloc: sized,
  allocUnsafe: function (size) { return sized(size); },
  allocUnsafeSlow: function (size) { return sized(size); },
  of: function () { return fromList(arguments); },
  isBuffer: isBuffer,
  isEncoding: function (name) { return typeof name === 'string' && name !== '' && encodingOf(name) !== null; },
  byteLength: function (source, encoding) {
    if (typeof source === 'string') return fromText(source, encodingOf(encoding) || 'utf8').length;
    if (isView(source) || source instanceof OwnArrayBuffer) return source.byteLength;
    throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "string" argument must be of type string or an instance of Buffer or ArrayBuffer');
  },
  compare: function (a, b) { return order(needBytes(a, 'buf1'), needBytes(b, 'buf2')); },
  concat: function (buffers, total) {
    if (!isArray(buffers)) throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "list" argument must be an instance of Array');
    var length = 0, at = 0, i;
    for (i = 0; i < buffers.length; i++) length += needBytes(buffers[i], 'list[' + i + ']').length;
    var whole = sized(total === undefined ? length : total);
    for (i = 0; i < buffers.length; i++) {
      for (var j = 0; j < buffers[i].length && at < whole.length; j++) whole[at++] = buffers[i][j];
    }
    return whole;
  }
};

// --- what one does ---
function bound(value, length, otherwise) {   // of a slice: from the end where it is negative
  var n = value === undefined ? otherwise : Number(value);
  n = n !== n ? 0 : n < 0 ? Math.ceil(n) : floor(n);
  return n < 0 ? Math.max(length + n, 0) : Math.min(n, length);
}
function part(from, to) {
  var begin = bound(from, this.length, 0), end = bound(to, this.length, this.length);
  return shared(this.buffer, this.byteOffset + begin, Math.max(end - begin, 0));
}
function clamped(value, length, otherwise) {  // of toString: never from the end
  var n = value === undefined ? otherwise : Math.trunc(Number(value));
  return n > 0 ? Math.min(n, length) : 0;
}
function sought(value, encoding) {
  if (typeof value === 'string') return fromText(value, encoding);
  if (typeof value === 'number') return [value & 255];
  return needBytes(value, 'value');
}
function matches(bytes, wanted, at) {
  for (var i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}
function find(bytes, value, from, encoding, isLast) {
  if (typeof from === 'string') { encoding = from; from = undefined; }
  var wanted = sought(value, encoding), at = from === undefined ? NaN : Math.trunc(Number(from));
  if (at !== at) at = isLast ? bytes.length : 0;
  if (at < 0) at += bytes.length;
  if (isLast) {
    for (at = Math.min(at, bytes.length - wanted.length); at >= 0; at--) if (matches(bytes, wanted, at)) return at;
    return -1;
  }
  at = Math.max(at, 0);
  if (!wanted.length) return Math.min(at, bytes.length);
  for (; at + wanted.length <= bytes.length; at++) if (matches(bytes, wanted, at)) return at;
  return -1;
}
function turned(size) {
  return function () {
    if (this.length % size) throw wrong(RangeError, 'ERR_INVALID_BUFFER_SIZE', 'Buffer size must be a multiple of ' + size * 8 + '-bits');
    for (var i = 0; i < this.length; i += size) {
      for (var j = 0; j < size / 2; j++) {
        var held = this[i + j];
        this[i + j] = this[i + size - 1 - j];
        this[i + size - 1 - j] = held;
      }
    }
    return this;
  };
}
var methods = {
  toString: function (encoding, from, to) {
    var begin = clamped(from, this.length, 0), end = clamped(to, this.length, this.length);
    return end > begin ? toText(listSlice(this, begin, end), encoding) : '';
  },
  toJSON: function () { return {type: 'Buffer', data: listSlice(this)}; },
  equals: function (other) { return order(this, needBytes(other, 'otherBuffer')) === 0; },
  compare: function (other, from, to, ownFrom, ownTo) {
    return order(part.call(this, ownFrom, ownTo), part.call(needBytes(other, 'target'), from, to));
  },
  slice: part,
  subarray: part,
  map: function (fn, self) { return owned(nativeMap(this, fn, self)); },
  filter: function (fn, self) { return owned(nativeFilter(this, fn, self)); },
  indexOf: function (value, from, encoding) { return find(this, value, from, encoding, false); },
  lastIndexOf: function (value, from, encoding) { return find(this, value, from, encoding, true); },
  includes: function (value, from, encoding) { return find(this, value, from, encoding, false) >= 0; },
  fill: function (value, from, to, encoding) {
    if (typeof from === 'string') { encoding = from; from = to = undefined; }
    else if (typeof to === 'string') { encoding = to; to = undefined; }
    var begin = placed(from, Infinity, 0), end = placed(to, this.length, this.length);
    var filler = typeof value === 'string' ? (value === '' ? [0] : fromText(value, encoding)) : isByteView(value) ? value : [Number(value) & 255];
    if (!filler.length) throw wrong(TypeError, 'ERR_INVALID_ARG_VALUE', 'The argument \'value\' is invalid');
    for (var i = begin; i < end; i++) this[i] = filler[(i - begin) % filler.length];
    return this;
  },
  write: function (string, at, length, encoding) {
    if (typeof at === 'string') { encoding = at; at = length = undefined; }
    else if (typeof length === 'string') { encoding = length; length = undefined; }
    if (typeof string !== 'string') throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "string" argument must be of type string');
    var begin = placed(at, this.length, 0), kind = encodingFor(encoding), bytes = fromText(string, kind);
    var room = Math.min(bytes.length, this.length - begin, length === undefined ? this.length : placed(length, this.length, 0));
    if (kind === 'utf8') while (room < bytes.length && room > 0 && (bytes[room] & 0xc0) === 0x80) room--;   // no half of a character
    if (kind === 'utf16le') room -= room % 2;
    for (var i = 0; i < room; i++) this[begin + i] = bytes[i];
    return room;
  },
  copy: function (target, at, from, to) {
    needBytes(target, 'target');
    var begin = clamped(from, this.length, 0), end = clamped(to, this.length, this.length), to_ = clamped(at, target.length, 0);
    var bytes = listSlice(this, begin, Math.max(begin, Math.min(end, begin + target.length - to_)));
    for (var i = 0; i < bytes.length; i++) target[to_ + i] = bytes[i];
    return bytes.length;
  },
  swap16: turned(2),
  swap32: turned(4),
  swap64: turned(8)
};
methods.toLocaleString = methods.toString;
function placed(value, length, otherwise) {
  if (value === undefined) return otherwise;
  if (typeof value !== 'number') throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "offset" argument must be of type number');
  if (!(value >= 0 && value <= length)) throw wrong(RangeError, 'ERR_OUT_OF_RANGE', 'The value of "offset" is out of range. It must be >= 0 and <= ' + length + '. Received ' + value);
  return floor(value);
}

// --- numbers ---
function offsetIn(bytes, offset, size) {
  if (offset === undefined) offset = 0;
  if (typeof offset !== 'number') throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "offset" argument must be of type number. Received ' + typeof offset);
  if (offset >= 0 && offset + size <= bytes.length && floor(offset) === offset) return offset;
  if (floor(offset) !== offset) throw wrong(RangeError, 'ERR_OUT_OF_RANGE', 'The value of "offset" is out of range. It must be an integer. Received ' + offset);
  if (bytes.length < size) throw wrong(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', 'Attempt to access memory outside buffer bounds');
  throw wrong(RangeError, 'ERR_OUT_OF_RANGE', 'The value of "offset" is out of range. It must be >= 0 and <= ' + (bytes.length - size) + '. Received ' + offset);
}
function sizeOf(size) {
  if (typeof size !== 'number') throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "byteLength" argument must be of type number. Received ' + typeof size);
  if (!(size >= 1 && size <= 6 && floor(size) === size)) throw wrong(RangeError, 'ERR_OUT_OF_RANGE', 'The value of "byteLength" is out of range. It must be >= 1 and <= 6. Received ' + size);
  return size;
}
function readBytes(bytes, offset, size, isLittle, isSigned) {
  var value = 0, at = offsetIn(bytes, offset, size);
  for (var i = 0; i < size; i++) value = value * 256 + bytes[isLittle ? at + size - 1 - i : at + i];
  var whole = Math.pow(256, size);
  return isSigned && value >= whole / 2 ? value - whole : value;
}
function writeBytes(bytes, value, offset, size, isLittle, isSigned) {
  var whole = Math.pow(256, size), most = isSigned ? whole / 2 - 1 : whole - 1, least = isSigned ? -whole / 2 : 0;
  value = +value;
  if (value > most || value < least) {
    throw wrong(RangeError, 'ERR_OUT_OF_RANGE', 'The value of "value" is out of range. It must be >= ' + least + ' and <= ' + most + '. Received ' + value);
  }
  var at = offsetIn(bytes, offset, size), rest = value !== value ? 0 : Math.trunc(value);
  if (rest < 0) rest += whole;
  for (var i = 0; i < size; i++) {
    bytes[isLittle ? at + i : at + size - 1 - i] = rest % 256;
    rest = floor(rest / 256);
  }
  return at + size;
}
// `UInt` may be spelt `Uint`, as node has it
function number(name, reads, writes) {
  var spellings = name.indexOf('UInt') < 0 ? [name] : [name, name.replace('UInt', 'Uint')];
  for (var i = 0; i < spellings.length; i++) {
    give$(proto, 'read' + spellings[i], reads);
    give$(proto, 'write' + spellings[i], writes);
  }
}
function fixed(name, size, isLittle, isSigned) {
  number(name, function (offset) { return readBytes(this, offset, size, isLittle, isSigned); },
         function (value, offset) { return writeBytes(this, value, offset, size, isLittle, isSigned); });
}
function viewed(name, size, isLittle, kind, check) {
  number(name, function (offset) {
    var at = offsetIn(this, offset, size);
    return new View(this.buffer, this.byteOffset, this.length)['get' + kind](at, isLittle);
  }, function (value, offset) {
    if (check) check(value);
    var at = offsetIn(this, offset, size);
    new View(this.buffer, this.byteOffset, this.length)['set' + kind](at, value, isLittle);
    return at + size;
  });
}
function within(least, most) {
  return function (value) {
    if (typeof value === 'bigint' && (value > most || value < least)) {
      throw wrong(RangeError, 'ERR_OUT_OF_RANGE', 'The value of "value" is out of range. It must be >= ' + least + ' and <= ' + most + '. Received ' + value);
    }
  };
}
fixed('UInt8', 1, false, false);
fixed('Int8', 1, false, true);
[['LE', true], ['BE', false]].forEach(function (end) {
  [16, 24, 32].forEach(function (bits) {
    fixed('UInt' + bits + end[0], bits / 8, end[1], false);
    fixed('Int' + bits + end[0], bits / 8, end[1], true);
  });
  viewed('Float' + end[0], 4, end[1], 'Float32');
  viewed('Double' + end[0], 8, end[1], 'Float64');
  if (typeof BigInt !== 'undefined') {
    var top = BigInt('9223372036854775807');
    viewed('BigInt64' + end[0], 8, end[1], 'BigInt64', within(-top - BigInt(1), top));
    viewed('BigUInt64' + end[0], 8, end[1], 'BigUint64', within(BigInt(0), top + top + BigInt(1)));
  }
  [['UInt', false], ['Int', true]].forEach(function (kind) {
    number(kind[0] + end[0], function (offset, size) {
      if (offset === undefined) throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "offset" argument must be of type number. Received undefined');
      return readBytes(this, offset, sizeOf(size), end[1], kind[1]);
    }, function (value, offset, size) {
      if (offset === undefined) throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "offset" argument must be of type number. Received undefined');
      return writeBytes(this, value, offset, sizeOf(size), end[1], kind[1]);
    });
  });
});
keys(methods).forEach(function (name) { give$(proto, name, methods[name]); });
keys(made).forEach(function (name) { give$(Buffer, name, made[name]); });
give('Buffer', Buffer);
})();
