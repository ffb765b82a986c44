// The host's codecs, for scripts that require them: cbor, msgpack, cayenne-lpp. What they read comes from a device, so
// depth and the number of values are bounded, and nothing in it can stand for a part that was read before.
var MAX_DEPTH = 64, MAX_NODES = 100000;

// Bytes of what scripts have them in: a list, a typed array, a Buffer, or text in hex.
function bytesOf(value) {
  if (typeof value === 'string') return bytesIn(value);
  return isBytes(value) ? listOf(value) : listSlice(value);
}

function Reader(value, format) {
  this.bytes = bytesOf(value);
  this.at = 0;
  this.nodes = 0;
  this.format = format;
}
Reader.prototype = {
  fail: function (problem) { throw new RangeError(this.format + ': ' + problem + ' at byte ' + this.at); },
  take: function (count) {
    if (!(count <= this.bytes.length - this.at)) this.fail('expected ' + count + ' more bytes, got ' + (this.bytes.length - this.at));
    var taken = listSlice(this.bytes, this.at, this.at + count);
    this.at += count;
    return taken;
  },
  byte: function () {
    if (this.at >= this.bytes.length) this.fail('expected a byte more');
    return this.bytes[this.at++] & 255;
  },
  unsigned: function (size) {
    if (size === 8) return this.wide(false);
    for (var value = 0; size > 0; size--) value = value * 256 + this.byte();
    return value;
  },
  // a number where it is exact, else a BigInt where the engine has any
  wide: function (isSigned) {
    var high = this.unsigned(4), low = this.unsigned(4);
    if (isSigned && high >= 0x80000000) high -= 0x100000000;
    if (high >= -0x200000 && high < 0x200000) return high * 4294967296 + low;
    return typeof BigInt === 'undefined' ? high * 4294967296 + low : BigInt(high) * BigInt(4294967296) + BigInt(low);
  },
  real: function (size) {
    var view = new DataView(new OwnArrayBuffer(size)), taken = this.take(size);
    for (var i = 0; i < size; i++) view.setUint8(i, taken[i]);
    return size === 4 ? view.getFloat32(0, false) : view.getFloat64(0, false);
  },
  half: function () {
    var bits = this.unsigned(2), exponent = bits >> 10 & 31, fraction = bits & 1023, sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? (1024 + fraction) * Math.pow(2, exponent - 25) : fraction * Math.pow(2, -24));
  },
  text: function (count) { return utf8Replaced(this.take(count)); },
  data: function (count) { return new OwnBytes(this.take(count)); },
  node: function (depth) {
    if (depth > MAX_DEPTH) this.fail('expected at most ' + MAX_DEPTH + ' levels');
    if (++this.nodes > MAX_NODES) this.fail('expected at most ' + MAX_NODES + ' values');
  },
  // so many things can't be in what is left: each takes a byte at least
  room: function (count) {
    if (!(count <= this.bytes.length - this.at)) this.fail('expected ' + count + ' values, got the end');
    return count;
  },
  whole: function (value) {
    if (this.at < this.bytes.length) this.fail('expected the end, got ' + (this.bytes.length - this.at) + ' more bytes');
    return value;
  }
};
function put(object, key, value) {
  defineProperty(object, typeof key === 'string' ? key : '' + key, {value: value, writable: true, enumerable: true, configurable: true});
}

// --- CBOR (RFC 8949) ---

function cborItem(reader, depth) {
  reader.node(depth);
  var first = reader.byte(), major = first >> 5, extra = first & 31;
  if (major === 7) return cborSimple(reader, extra);
  if (extra === 31) return cborOpen(reader, major, depth);
  if (extra > 27) reader.fail('the length ' + extra + ' is reserved');
  var count = extra < 24 ? extra : reader.unsigned(1 << extra - 24);
  switch (major) {
    case 0: return count;
    case 1: return typeof count === 'bigint' ? -count - BigInt(1) : -1 - count;
    case 2: return reader.data(reader.room(Number(count)));
    case 3: return reader.text(reader.room(Number(count)));
    case 4:
      for (var list = [], i = reader.room(Number(count)); i > 0; i--) push(list, cborItem(reader, depth + 1));
      return list;
    case 5:
      for (var map = {}, j = reader.room(2 * Number(count)) / 2; j > 0; j--) put(map, cborItem(reader, depth + 1), cborItem(reader, depth + 1));
      return map;
  }
  return cborTag(reader, Number(count), depth);
}
function cborSimple(reader, extra) {
  switch (extra) {
    case 20: return false;
    case 21: return true;
    case 22: return null;
    case 23: return undefined;
    case 24: return reader.byte();
    case 25: return reader.half();
    case 26: return reader.real(4);
    case 27: return reader.real(8);
  }
  if (extra === 31) reader.fail('a break was not expected');
  return extra;
}
// of indefinite length (§3.2)
function cborOpen(reader, major, depth) {
  var parts = [], map = {};
  if (major < 2 || major > 5) reader.fail('no indefinite length was expected');
  while (reader.bytes[reader.at] !== 0xff) {
    var item = cborItem(reader, depth + 1);
    if (major === 5) put(map, item, cborItem(reader, depth + 1));
    else {
      if (major === 3 && typeof item !== 'string' || major === 2 && !isBytes(item)) reader.fail('a part of another kind was not expected');
      push(parts, item);
    }
  }
  reader.at++;
  if (major === 5) return map;
  if (major === 4) return parts;
  if (major === 3) return joined(parts, '');
  var all = [];
  for (var i = 0; i < parts.length; i++) all = all.concat(listOf(parts[i]));
  return new OwnBytes(all);
}
function cborTag(reader, tag, depth) {
  if (tag === 28 || tag === 29 || tag === 25 || tag === 256) reader.fail('the tag ' + tag + ', which refers to other parts, is not taken');
  var value = cborItem(reader, depth + 1);
  if (tag === 1 && typeof value === 'number') return new NewDate(value * 1000);
  if (tag === 0 && typeof value === 'string') return new NewDate(value);
  if ((tag === 2 || tag === 3) && isBytes(value)) return cborBig(listOf(value), tag === 3, reader);
  return value;
}
function cborBig(bytes, isNegative, reader) {
  if (bytes.length > 64) reader.fail('expected a number of at most 64 bytes');
  var isExact = typeof BigInt !== 'undefined', value = isExact ? BigInt(0) : 0, step = isExact ? BigInt(256) : 256;
  for (var i = 0; i < bytes.length; i++) value = value * step + (isExact ? BigInt(bytes[i]) : bytes[i]);
  return isNegative ? (isExact ? BigInt(-1) : -1) - value : value;
}

function Writer(format) { this.bytes = []; this.nodes = 0; this.format = format; }
Writer.prototype = {
  node: Reader.prototype.node,
  fail: function (problem) { throw new RangeError(this.format + ': ' + problem); },
  number: function (value, size) {
    for (var shift = size - 1; shift >= 0; shift--) push(this.bytes, Math.floor(value / Math.pow(256, shift)) % 256);
  },
  all: function (bytes) { for (var i = 0; i < bytes.length; i++) push(this.bytes, bytes[i] & 255); },
  real: function (value) {
    var view = new DataView(new OwnArrayBuffer(8));
    view.setFloat64(0, value, false);
    for (var i = 0; i < 8; i++) push(this.bytes, view.getUint8(i));
  }
};
function cborHead(writer, major, count) {
  var size = count < 24 ? 0 : count < 256 ? 1 : count < 65536 ? 2 : count < 4294967296 ? 4 : 8;
  push(writer.bytes, major << 5 | (size ? 24 + [1, 2, 4, 8].indexOf(size) : count));
  if (size) writer.number(count, size);
}
function cborPut(writer, value, depth) {
  writer.node(depth);
  if (typeof value === 'bigint') value = Number(value);
  if (typeof value === 'number') {
    if (Math.floor(value) === value && Math.abs(value) <= 9007199254740991 && !(value === 0 && 1 / value < 0)) {
      return value < 0 ? cborHead(writer, 1, -1 - value) : cborHead(writer, 0, value);
    }
    push(writer.bytes, 0xfb);
    return writer.real(value);
  }
  if (typeof value === 'string') { var text = utf8Encode(value); cborHead(writer, 3, text.length); return writer.all(text); }
  if (value === undefined || value === null || typeof value === 'boolean') {
    return push(writer.bytes, value === undefined ? 0xf7 : value === null ? 0xf6 : value ? 0xf5 : 0xf4);
  }
  if (isBytes(value)) { var bytes = listOf(value); cborHead(writer, 2, bytes.length); return writer.all(bytes); }
  if (value instanceof NewDate) { cborHead(writer, 6, 1); return cborPut(writer, value.getTime() / 1000, depth + 1); }
  if (isArray(value)) {
    cborHead(writer, 4, value.length);
    for (var i = 0; i < value.length; i++) cborPut(writer, value[i], depth + 1);
    return;
  }
  if (!isObject(value) || typeof value === 'function') writer.fail('a ' + typeof value + ' has no form in it');
  var names = keys(value);
  cborHead(writer, 5, names.length);
  for (var j = 0; j < names.length; j++) { cborPut(writer, names[j], depth + 1); cborPut(writer, value[names[j]], depth + 1); }
}

// --- MessagePack (its specification at msgpack/msgpack, spec.md) ---

function packItem(reader, depth) {
  reader.node(depth);
  var first = reader.byte();
  if (first < 0x80) return first;
  if (first >= 0xe0) return first - 256;
  if (first < 0x90) return packMap(reader, first & 15, depth);
  if (first < 0xa0) return packList(reader, first & 15, depth);
  if (first < 0xc0) return reader.text(first & 31);
  switch (first) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: case 0xc5: case 0xc6: return reader.data(reader.room(reader.unsigned(1 << first - 0xc4)));
    case 0xc7: case 0xc8: case 0xc9: return packExtension(reader, reader.unsigned(1 << first - 0xc7));
    case 0xca: return reader.real(4);
    case 0xcb: return reader.real(8);
    case 0xcc: case 0xcd: case 0xce: case 0xcf: return reader.unsigned(1 << first - 0xcc);
    case 0xd0: return (reader.byte() << 24) >> 24;
    case 0xd1: return (reader.unsigned(2) << 16) >> 16;
    case 0xd2: return reader.unsigned(4) | 0;
    case 0xd3: return reader.wide(true);
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return packExtension(reader, 1 << first - 0xd4);
    case 0xd9: case 0xda: case 0xdb: return reader.text(reader.room(reader.unsigned(1 << first - 0xd9)));
    case 0xdc: case 0xdd: return packList(reader, reader.unsigned(2 << first - 0xdc), depth);
    case 0xde: case 0xdf: return packMap(reader, reader.unsigned(2 << first - 0xde), depth);
  }
  return reader.fail('the byte 0xc1 stands for nothing');
}
function packList(reader, count, depth) {
  for (var list = [], i = reader.room(count); i > 0; i--) push(list, packItem(reader, depth + 1));
  return list;
}
function packMap(reader, count, depth) {
  for (var map = {}, i = reader.room(2 * count) / 2; i > 0; i--) put(map, packItem(reader, depth + 1), packItem(reader, depth + 1));
  return map;
}
function packExtension(reader, size) {
  var type = (reader.byte() << 24) >> 24;
  if (type !== -1) return {type: type, data: reader.data(reader.room(size))};
  if (size === 4) return new NewDate(reader.unsigned(4) * 1000);
  if (size === 8) {
    var nanos = reader.unsigned(4), seconds = (nanos & 3) * 4294967296 + reader.unsigned(4);
    return new NewDate(seconds * 1000 + Math.floor(Math.floor(nanos / 4) / 1e6));
  }
  if (size !== 12) reader.fail('expected a timestamp of 4, 8 or 12 bytes, got ' + size);
  var fraction = reader.unsigned(4);
  return new NewDate(Number(reader.wide(true)) * 1000 + Math.floor(fraction / 1e6));
}
function packHead(writer, count, short, most, codes) {
  if (count <= most) return push(writer.bytes, short | count);
  var size = count < 256 && codes.length > 2 ? 1 : count < 65536 ? 2 : 4;
  push(writer.bytes, codes[codes.length - (size === 4 ? 1 : size === 2 ? 2 : 3)]);
  writer.number(count, size);
}
function packPut(writer, value, depth) {
  writer.node(depth);
  if (typeof value === 'bigint') value = Number(value);
  if (typeof value === 'number') {
    if (Math.floor(value) !== value || Math.abs(value) > 9007199254740991 || (value === 0 && 1 / value < 0)) {
      push(writer.bytes, 0xcb);
      return writer.real(value);
    }
    if (value >= 0 ? value < 128 : value >= -32) return push(writer.bytes, value & 255);
    var size = value >= 0 ? (value < 256 ? 1 : value < 65536 ? 2 : value < 4294967296 ? 4 : 8)
                          : (value >= -128 ? 1 : value >= -32768 ? 2 : value >= -2147483648 ? 4 : 8);
    push(writer.bytes, (value >= 0 ? 0xcc : 0xd0) + [1, 2, 4, 8].indexOf(size));
    if (size < 8) return writer.number(value >= 0 ? value : value + Math.pow(256, size), size);
    writer.number(value >= 0 ? Math.floor(value / 4294967296) : Math.floor(value / 4294967296) + 4294967296, 4);
    return writer.number(((value % 4294967296) + 4294967296) % 4294967296, 4);
  }
  if (typeof value === 'string') { var text = utf8Encode(value); packHead(writer, text.length, 0xa0, 31, [0xd9, 0xda, 0xdb]); return writer.all(text); }
  if (value === undefined || value === null || typeof value === 'boolean') return push(writer.bytes, value ? 0xc3 : value === false ? 0xc2 : 0xc0);
  if (isBytes(value)) { var bytes = listOf(value); packHead(writer, bytes.length, 0, -1, [0xc4, 0xc5, 0xc6]); return writer.all(bytes); }
  if (value instanceof NewDate) {
    var ms = value.getTime(), whole = Math.floor(ms / 1000);
    push(writer.bytes, 0xc7, 12, 0xff);
    writer.number((ms - whole * 1000) * 1e6, 4);
    writer.number(whole < 0 ? 0xffffffff : Math.floor(whole / 4294967296), 4);
    return writer.number(((whole % 4294967296) + 4294967296) % 4294967296, 4);
  }
  if (isArray(value)) {
    packHead(writer, value.length, 0x90, 15, [0xdc, 0xdd]);
    for (var i = 0; i < value.length; i++) packPut(writer, value[i], depth + 1);
    return;
  }
  if (!isObject(value) || typeof value === 'function') writer.fail('a ' + typeof value + ' has no form in it');
  var names = keys(value);
  packHead(writer, names.length, 0x80, 15, [0xde, 0xdf]);
  for (var j = 0; j < names.length; j++) { packPut(writer, names[j], depth + 1); packPut(writer, value[names[j]], depth + 1); }
}

// --- Cayenne LPP (myDevices' documentation; the further types as ElectronicCats/CayenneLPP has them) ---
// type: [name, bytes of a number, divisor, whether it is signed, names of the parts]
var LPP = {
  0: ['digital_in', 1, 1], 1: ['digital_out', 1, 1], 2: ['analog_in', 2, 100, true], 3: ['analog_out', 2, 100, true],
  100: ['generic_sensor', 4, 1], 101: ['luminosity', 2, 1], 102: ['presence', 1, 1], 103: ['temperature', 2, 10, true],
  104: ['relative_humidity', 1, 2], 113: ['accelerometer', 2, 1000, true, ['x', 'y', 'z']], 115: ['barometric_pressure', 2, 10],
  116: ['voltage', 2, 100], 117: ['current', 2, 1000], 118: ['frequency', 4, 1], 120: ['percentage', 1, 1],
  121: ['altitude', 2, 1, true], 128: ['power', 2, 1], 130: ['distance', 4, 1000], 131: ['energy', 4, 1000], 132: ['direction', 2, 1],
  133: ['unixtime', 4, 1], 134: ['gyrometer', 2, 100, true, ['x', 'y', 'z']],
  136: ['gps', 3, 10000, true, ['latitude', 'longitude', 'altitude']], 142: ['switch', 1, 1]
};
function lppNumber(reader, type, part) {
  var raw = reader.unsigned(type[1]), limit = Math.pow(256, type[1]);
  if (type[3] && raw >= limit / 2) raw -= limit;
  return raw / (part === 'altitude' && type[4] ? 100 : type[2]);
}
function lppDecode(value) {
  var reader = new Reader(value, 'cayenne-lpp'), found = {};
  while (reader.at < reader.bytes.length) {
    var channel = reader.byte(), type = LPP[reader.byte()], made = {};
    if (!type) { reader.at--; reader.fail('the type ' + reader.bytes[reader.at] + ' is not known'); }
    if (!type[4]) made = lppNumber(reader, type);
    else for (var i = 0; i < type[4].length; i++) made[type[4][i]] = lppNumber(reader, type, type[4][i]);
    found[type[0] + '_' + channel] = made;
  }
  return found;
}
function lppEncode(values) {
  var writer = new Writer('cayenne-lpp'), numbers = keys(LPP);
  keys(values).forEach(function (key) {
    var cut = key.lastIndexOf('_'), number = numbers.filter(function (one) { return LPP[one][0] === slice(key, 0, cut); })[0];
    var type = LPP[number], channel = Number(slice(key, cut + 1));
    if (!type || !(channel >= 0 && channel < 256)) writer.fail('expected a name such as temperature_1, got ' + stringify(key));
    push(writer.bytes, channel, Number(number));
    (type[4] || ['']).forEach(function (part) {
      var value = part ? values[key][part] : values[key], limit = Math.pow(256, type[1]);
      var raw = Math.round(value * (part === 'altitude' && type[4] ? 100 : type[2]));
      if (!(type[3] ? raw >= -limit / 2 && raw < limit / 2 : raw >= 0 && raw < limit)) writer.fail('expected a number that ' + key + ' has room for, got ' + value);
      writer.number(raw < 0 ? raw + limit : raw, type[1]);
    });
  });
  return writer.bytes;
}

function coder(format, read, write) {
  function decode(value) { var reader = new Reader(value, format); return reader.whole(read(reader, 0)); }
  function decodeAll(value) {
    for (var reader = new Reader(value, format), all = []; reader.at < reader.bytes.length;) push(all, read(reader, 0));
    return all;
  }
  function encode(value) { var writer = new Writer(format); write(writer, value, 0); return writer.bytes; }
  return {decode: decode, decodeFirst: decode, decodeFirstSync: decode, decodeAll: decodeAll, decodeAllSync: decodeAll,
          unpack: decode, encode: encode, pack: encode};
}
hostModules.cbor = hostModules['cbor-x'] = hostModules['cbor-js'] = coder('cbor', cborItem, cborPut);
hostModules.msgpack = hostModules['@msgpack/msgpack'] = hostModules['msgpack-lite'] = coder('msgpack', packItem, packPut);
hostModules['cayenne-lpp'] = hostModules.cayennelpp = {decode: lppDecode, encode: lppEncode};
