// ThingsBoard's functions (its TbUtils), by the names that scripts call them with.
function byteOf(v) {            // Number.byteValue
  if (v instanceof TByte) return v.v;
  if (v === null) throw fail('NullPointerException', 'a list of bytes holds null');
  if (codeOf(v) < BYTE || v instanceof TChar) throw fail('ClassCastException', 'expected a number, got ' + classOf(v));
  return numberMethods.intValue(v) << 24 >> 24;
}
function bytesOf(data) {
  if (!(data instanceof TList || data instanceof TArray)) throw fail('IllegalArgumentException', 'expected a list of bytes, got ' + (data === null ? 'null' : classOf(data)));
  return data.a.map(byteOf);
}
function bytesFrom(data) {      // for texts, which take 0 to 255 as well, and numbers as texts
  var all = collection(data), made = [], i = 0;
  for (; i < all.length && all[i] instanceof TByte; i++) made[i] = all[i].v;
  return i === all.length ? made : all.map(function (one) {
    var n = one instanceof TByte ? one.v : typeof one === 'number' ? one : typeof one === 'string' ? parseInteger(one, 0, true, 32) : NaN;
    if (!(n >= -128 && n <= 255)) {
      throw fail('NumberFormatException', "The value '" + text(one) + "' could not be correctly converted to a byte. " +
                 (n === n ? 'Integer to byte conversion requires the use of only 8 bits (with a range of min/max = -128/255)!' : 'Must be a HexDecimal/String/Integer/Byte format !'));
    }
    return n << 24 >> 24;
  });
}
function byteList(bytes) { return new TList(bytes.map(byte)); }
function byteArray(bytes) { return new TArray('byte', bytes.map(byte)); }
function hexText(bytes) { return bytes.map(function (one) { return (one & 255).toString(16).padStart(2, '0'); }).join('').toUpperCase(); }
function base64Bytes(s) {
  s = string(s);
  var bad = /[^A-Za-z0-9+\/=]/.exec(s);
  if (bad) throw fail('IllegalArgumentException', 'Illegal base64 character ' + bad[0].charCodeAt(0).toString(16));
  return decodeBase64(s).map(function (one) { return one << 24 >> 24; });
}

// --- texts with numbers in them ---

function isBinary(s) { return s !== null && /^[01]+$/.test(s) ? 2 : -1; }
function isOctal(s) { return s !== null && /^[0-7]+$/.test(s) ? 8 : -1; }
function isDecimal(s) { return s !== null && /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(s) ? 10 : -1; }
function isHexadecimal(s) { return s !== null && /^-?(?:0[xX])?[0-9a-fA-F]+$/.test(s) ? 16 : -1; }
function given(v) { return v === null || v === undefined ? null : text(v); }

function reversedHex(s) {
  if (s.startsWith('-')) throw fail('IllegalArgumentException', 'The hexadecimal string must be without a negative sign.');
  var prefix = s.startsWith('0x') ? '0x' : '', digits = s.slice(prefix.length);
  if (digits.length % 2) throw fail('IllegalArgumentException', 'The hexadecimal string must be even-length.');
  return prefix + (digits.match(/../g) || []).reverse().join('');
}
function prepared(s, isBigEndian) {
  if (s === null || !s.trim()) return null;
  var clean = s.trim().replace(/0x/g, '').replace(/0X/g, '').replace(/,/g, '.');
  return isBigEndian ? clean : reversedHex(clean);
}
function radixOf(clean, radix, s) {
  var found;
  if (radix >= 25 && radix <= 36) return radix;
  if (radix === 0) {
    found = isDecimal(clean) > 0 ? 10 : isHexadecimal(clean);
    if (found < 0) throw fail('NumberFormatException', 'Value: "' + clean + '" is not numeric or hexDecimal format!');
  } else {
    var test = {2: isBinary, 8: isOctal, 10: isDecimal, 16: isHexadecimal}[radix];
    if (!test) throw fail('IllegalArgumentException', 'Invalid radix: [' + radix + ']');
    found = test(clean);
  }
  if (found < 0) throw fail('NumberFormatException', 'Failed radix [' + radix + '] for value: "' + s + '", must be [' + found + '] !');
  if (s.startsWith('0x')) found = 16;
  if (found === 16 && (s.startsWith('-') ? s.slice(1) : s).length % 2) {
    throw fail('NumberFormatException', 'The hexadecimal value: "' + s + '" must be of even length, or if the decimal value must be a number!');
  }
  return found;
}
function parseInteger(v, radix, isBigEndian, width) {
  var s = given(v), clean = prepared(s, isBigEndian);
  if (clean === null) return null;
  var found = radixOf(clean, radix === undefined ? 0 : int(radix), s);
  if (found !== 2) return parseWhole(clean, found, width);
  if (clean.length > width) throw notWhole(clean, 2);
  var bitsRead = BigInt.asIntN(width, BigInt('0b' + clean));
  return width === 64 ? bitsRead : Number(bitsRead);
}
function parseFloating(v, radix, isBigEndian) {
  var s = given(v), clean = prepared(s, isBigEndian);
  if (clean === null) return null;
  if (radixOf(clean, radix === undefined ? 0 : int(radix), s) === 16) return float(bitsToFloat(Number(BigInt.asIntN(32, BigInt(parseWhole(clean, 16, 64))))));
  return float(parseDoubleJava(s));
}
function parseDoubled(v, radix, isBigEndian) {
  var s = given(v), clean = prepared(s, isBigEndian);
  if (clean === null) return null;
  if (radixOf(clean, radix, s) === 10) return double(parseDoubleJava(clean));
  return double(bitsToDouble(BigInt.asIntN(64, BigInt('0x' + clean))));
}
function bigEndian(v) { return v === undefined || v === null ? true : toBoolean(v); }

// --- numbers in bytes ---

function limits(count, offset, length, most) {
  if (offset > count) throw fail('IllegalArgumentException', 'Offset: ' + offset + ' is out of bounds for array with length: ' + count + '!');
  if (offset + length > count) throw fail('IllegalArgumentException', 'Offset: ' + offset + ' and Length: ' + length + ' is out of bounds for array with length: ' + count + '!');
  if (length > most) throw fail('IllegalArgumentException', 'Length: ' + length + ' is too large. Maximum ' + most + ' bytes is allowed!');
}
// (data, offset, length, bigEndian) -> the unsigned number that these bytes are
function unsignedOf(data, offset, length, isBig, most) {
  var bytes = data instanceof TList || data instanceof TArray ? data.a : bytesOf(data), value = 0n;
  offset = offset === undefined ? 0 : int(offset);
  length = length === undefined ? bytes.length < offset ? bytes.length : Math.min(bytes.length - offset, most) : int(length);
  limits(bytes.length, offset, length, most);
  if (offset < 0 || length < 0) throw fail('IndexOutOfBoundsException', 'offset ' + offset + ', length ' + length);
  var isBigEndian = bigEndian(isBig);
  if (length < 7) {
    for (var n = 0, j = 0; j < length; j++) n = n * 256 + (byteOf(bytes[isBigEndian ? offset + j : offset + length - 1 - j]) & 255);
    return n;
  }
  for (var i = 0; i < length; i++) value = value << 8n | BigInt(byteOf(bytes[isBigEndian ? offset + i : offset + length - 1 - i]) & 255);
  return value;
}
function floatBytes(data, offset, length, isBig, most) {   // bytes at the end of the field, or at its beginning
  var bytes = bytesOf(data);
  offset = offset === undefined ? 0 : int(offset);
  length = length === undefined ? bytes.length < offset ? bytes.length : Math.min(bytes.length - offset, most) : int(length);
  if (length > most || length < 0) throw fail('IllegalArgumentException', 'newPosition < 0 or too many bytes: length ' + length);
  limits(bytes.length, offset, length, most);
  var isBigEndian = bigEndian(isBig);
  for (var i = 0; i < most; i++) VIEW.setInt8(i, 0);
  for (var j = 0; j < length; j++) VIEW.setInt8(isBigEndian ? most - length + j : j, bytes[offset + j]);
  var made = most === 4 ? VIEW.getFloat32(0, !isBigEndian) : VIEW.getFloat64(0, !isBigEndian);
  if (made !== made) throw fail('NumberFormatException', 'byte[] 0x' + hexText(bytes) + ' is a Not-a-Number (NaN) value');
  return made;
}
function hexOf(n, isBig, hasPrefix, length, most) {
  var hex = BigInt.asUintN(64, n).toString(16).toUpperCase();
  most = most < 0 ? hex.length : most;
  if (hex.length % 2) hex = '0' + hex;
  if (n < 0n) {
    hex = hex.replace(/^F+(?!$)/, '');
    if (hex.length % 2) hex = 'F' + hex;
    hex = hex.length > most ? hex.slice(hex.length - most) : hex.length === most ? hex : 'FF' + hex;
  }
  if (!bigEndian(isBig)) hex = reversedHex(hex);
  if (length !== undefined && length !== -1) {
    if (length > hex.length) throw fail('StringIndexOutOfBoundsException', 'begin ' + (hex.length - length) + ', end ' + hex.length + ', length ' + hex.length);
    hex = hex.slice(hex.length - length);
  }
  return hasPrefix === true ? '0x' + hex : hex;
}
function bitsOf(value, length, isBig) {
  var made = [];
  length = Math.min(length, 64);
  for (var i = 0; i < length; i++) made[isBig ? length - 1 - i : i] = Number(value >> BigInt(i) & 1n);
  return byteArray(made);
}
function fixed(v, places) {
  var code = codeOf(v), n = toDouble(v);
  if (!isFinite(n)) throw fail('NumberFormatException', 'Character ' + finiteName(n)[0] + ' is neither a decimal digit number, decimal point, nor "e" notation exponential mark.');
  var made = Number(rounded(n, int(places)));
  return code === DOUBLE || code === STRING ? double(made) : float(made);
}
function flatten(v, made, excluded, path, isPathInKey) {
  if (v instanceof TList || v instanceof TSet) elements(v).forEach(function (one, i) { flatten(one, made, excluded, path + '.' + i, isPathInKey); });
  else if (v instanceof TMap) {
    entries(v).forEach(function (one) {
      if (find(excluded, one.k) < 0) flatten(one.v, made, excluded, (path.trim() ? path + '.' : path) + text(one.k), isPathInKey);
    });
  } else {
    var parts = path.split('.'), last = parts[parts.length - 1];
    mapPut(made, isPathInKey ? path : /^\d+$/.test(last) ? parts.slice(-2).join('.') : last, v);
  }
}
var URI_KEPT = /%(?:21|27|28|29|7E|3B|2C|2F|3F|3A|40|26|3D|2B|24|23)/g;
function encodeUri(s) {
  return encodeText(string(s), 'UTF-8').map(function (one) {
    var c = fromCharCode(one);
    return /[A-Za-z0-9._*-]/.test(c) ? c : '%' + one.toString(16).toUpperCase().padStart(2, '0');
  }).join('').replace(URI_KEPT, function (all) { return fromCharCode(parseInt(all.slice(1), 16)); });
}
function radians(v) { return v * Math.PI / 180; }
function distance(a, b) {       // in metres, on a sphere
  var x = Math.sin(radians(b[0] - a[0]) / 2), y = Math.sin(radians(b[1] - a[1]) / 2);
  return 2 * 6371008.7714 * Math.asin(Math.sqrt(x * x + Math.cos(radians(a[0])) * Math.cos(radians(b[0])) * y * y));
}
var UNITS = {METER: 1, KILOMETER: 1000, FOOT: 0.3048, MILE: 1609.344, NAUTICAL_MILE: 1852};
function isInPolygon(point, points) {
  var is = false;
  for (var i = 0, j = points.length - 1; i < points.length; j = i++) {
    var a = points[i], c = points[j];
    if (a[0] > point[0] !== c[0] > point[0] && point[1] < (c[1] - a[1]) * (point[0] - a[0]) / (c[0] - a[0]) + a[1]) is = !is;
  }
  return is;
}

var functions = {
  btoa: function (s) { return encodeBase64(encodeText(string(s), 'UTF-8')); },
  atob: function (s) { return decodeText(base64Bytes(s), 'UTF-8'); },
  bytesToString: function (data, charset) { return decodeText(bytesFrom(data), charset === undefined ? 'UTF-8' : text(charset)); },
  decodeToString: function (data) { return decodeText(bytesFrom(data), 'UTF-8'); },
  decodeToJson: function (data) { return parseJson(typeof data === 'string' ? data : decodeText(bytesFrom(data), 'UTF-8')); },
  stringToBytes: function (s, charset) {
    if (typeof s !== 'string') throw fail('IllegalAccessException', 'Invalid type parameter [' + classOf(s).replace(/.*\./, '') + "]. Expected 'String'");
    return byteList(encodeText(s, charset === undefined ? 'UTF-8' : text(charset)));
  },
  parseInt: function (s, radix) { return parseInteger(s, radix, true, 32); },
  parseLong: function (s, radix) { return parseInteger(s, radix, true, 64); },
  parseFloat: function (s, radix) { return parseFloating(s, radix, true); },
  parseDouble: function (s, radix) { return parseDoubled(s, radix === undefined ? isDecimal(given(s)) > 0 ? 10 : 16 : int(radix), true); },
  parseHexToInt: function (s, isBig) { return parseInteger(s, 16, bigEndian(isBig), 32); },
  parseLittleEndianHexToInt: function (s) { return parseInteger(s, 16, false, 32); },
  parseBigEndianHexToInt: function (s) { return parseInteger(s, 16, true, 32); },
  parseHexToLong: function (s, isBig) { return parseInteger(s, 16, bigEndian(isBig), 64); },
  parseLittleEndianHexToLong: function (s) { return parseInteger(s, 16, false, 64); },
  parseBigEndianHexToLong: function (s) { return parseInteger(s, 16, true, 64); },
  parseHexToFloat: function (s, isBig) { return parseFloating(s, 16, bigEndian(isBig)); },
  parseLittleEndianHexToFloat: function (s) { return parseFloating(s, 16, false); },
  parseBigEndianHexToFloat: function (s) { return parseFloating(s, 16, true); },
  parseHexIntLongToFloat: function (s, isBig) {
    var n = parseInteger(s, 16, bigEndian(isBig), 64);
    return n === null ? null : float(Number(BigInt.asIntN(32, n)));
  },
  parseHexToDouble: function (s, isBig) { return parseDoubled(s, 16, bigEndian(isBig)); },
  parseLittleEndianHexToDouble: function (s) { return parseDoubled(s, 16, false); },
  parseBigEndianHexToDouble: function (s) { return parseDoubled(s, 16, true); },
  parseBytesToInt: function (data, offset, length, isBig) { return unsignedOf(data, offset, length, isBig, 4) | 0; },
  parseBytesToUnsignedInt: function (data, offset, length, isBig) { return BigInt(unsignedOf(data, offset, length, isBig, 4)); },
  parseBytesToLong: function (data, offset, length, isBig) { return long(BigInt(unsignedOf(data, offset, length, isBig, 8))); },
  parseBytesToFloat: function (data, offset, length, isBig) { return float(floatBytes(data, offset, length, isBig, 4)); },
  parseBytesToDouble: function (data, offset, length, isBig) { return double(floatBytes(data, offset, length, isBig, 8)); },
  parseBytesIntToFloat: function (data, offset, length, isBig) { return float(unsignedOf(data, offset, length, isBig, 4)); },
  parseBytesLongToDouble: function (data, offset, length, isBig) { return double(Number(unsignedOf(data, offset, length, isBig, 8))); },
  hexToBytes: function (s) { return byteList(hexBytes(s)); },
  hexToBytesArray: function (s) { return byteArray(hexBytes(s)); },
  bytesToHex: function (data) { return hexText(data instanceof TArray ? bytesOf(data) : collection(data).map(function (one) { return smallByte(text(one)); })); },
  base64ToBytes: function (s) { return byteArray(base64Bytes(s)); },
  base64ToBytesList: function (s) { return byteList(base64Bytes(s)); },
  base64ToHex: function (s) { return hexText(base64Bytes(s)); },
  hexToBase64: function (s) { return encodeBase64(hexBytes(s)); },
  bytesToBase64: function (data) { return encodeBase64(bytesOf(data)); },
  bytesToExecutionArrayList: function (data) { return byteList(bytesOf(data)); },
  printUnsignedBytes: function (data) { return new TList(bytesOf(data).map(function (one) { return one & 255; })); },
  intToHex: function (n, isBig, hasPrefix, length) { return hexOf(BigInt(int(n)), isBig, hasPrefix, length === undefined ? undefined : int(length), 8); },
  longToHex: function (n, isBig, hasPrefix, length) { return hexOf(whole(n, 64), isBig, hasPrefix, length === undefined ? undefined : int(length), 16); },
  intLongToRadixString: function (n, radix, isBig, hasPrefix) {
    n = whole(n, 64);
    radix = radix === undefined ? 10 : int(radix);
    if (radix === 10 || radix >= 25 && radix <= 36) return n.toString(radix);
    if (radix === 16) return hexOf(n, isBig, hasPrefix, undefined, -1);
    if (radix === 8) return BigInt.asUintN(64, n).toString(8);
    if (radix !== 2) throw fail('IllegalArgumentException', 'Invalid radix: [' + radix + ']');
    var bitsMade = BigInt.asUintN(64, n).toString(2), width = [8, 16, 32, 64].find(function (one) { return bitsMade.length < one; });
    return bitsMade.padStart(width || 0, '0');
  },
  floatToHex: function (v, isBig) {
    var hex = '0x' + (floatToBits(toDouble(v)) >>> 0).toString(16).toUpperCase().padStart(8, '0');
    return bigEndian(isBig) ? hex : reversedHex(hex);
  },
  doubleToHex: function (v, isBig) {
    var hex = '0x' + BigInt.asUintN(64, doubleToBits(toDouble(v))).toString(16).toUpperCase().padStart(16, '0');
    return bigEndian(isBig) ? hex : reversedHex(hex);
  },
  toFixed: fixed,
  toInt: function (v) { return Number(BigInt.asIntN(32, BigInt(rounded(toDouble(v), 0)))); },
  isNaN: function (v) { return isNaN(toDouble(v)); },
  isBinary: function (s) { return isBinary(given(s)); },
  isOctal: function (s) { return isOctal(given(s)); },
  isDecimal: function (s) { return isDecimal(given(s)); },
  isHexadecimal: function (s) { return isHexadecimal(given(s)); },
  padStart: function (s, width, filler) { return string(s).padStart(Math.min(int(width), MAX_TEXT), text(filler)[0]); },
  padEnd: function (s, width, filler) { return string(s).padEnd(Math.min(int(width), MAX_TEXT), text(filler)[0]); },
  parseByteToBinaryArray: function (v, length, isBig) { return bitsOf(BigInt(byteOf(v)), length === undefined ? 8 : int(length), bigEndian(isBig)); },
  parseBytesToBinaryArray: function (data, length) {
    return bitsOf(long(BigInt(unsignedOf(data, 0, undefined, true, 8))), length === undefined ? bytesOf(data).length * 8 : int(length), true);
  },
  parseLongToBinaryArray: function (v, length) { return bitsOf(whole(v, 64), length === undefined ? 64 : int(length), true); },
  parseBinaryArrayToInt: function (data, offset, length) {
    var ones = bytesOf(data), from = offset === undefined ? 0 : int(offset), to = Math.min((length === undefined ? ones.length : int(length)) + from, ones.length), made = 0;
    for (var i = from; i < to; i++) made = made << 1 | ones[i] & 1;
    return ones.length === 8 && from === 0 && ones[0] === 1 ? made - (1 << to - from) : made;
  },
  encodeURI: encodeUri,
  decodeURI: function (s) {
    return decodeText([].concat.apply([], (string(s).replace(/\+/g, '+').match(/%[0-9a-fA-F]{2}|[^%]+|%/g) || []).map(function (part) {
      return /^%[0-9a-fA-F]{2}$/.test(part) ? [parseInt(part.slice(1), 16)] : encodeText(part, 'UTF-8');
    })), 'UTF-8');
  },
  raiseError: function (message) { throw fail('RuntimeException', text(message)); },
  toFlatMap: function (m, excluded, isPathInKey) {
    if (typeof excluded === 'boolean') { isPathInKey = excluded; excluded = null; }
    var made = new TMap();
    flatten(m, made, excluded ? elements(excluded) : [], '', isPathInKey === undefined ? true : isPathInKey);
    return made;
  },
  isMap: function (v) { return v instanceof TMap; },
  isList: function (v) { return v instanceof TList; },
  isArray: function (v) { return v instanceof TArray; },
  isSet: function (v) { return v instanceof TSet; },
  newSet: function () { return new TSet(); },
  toSet: function (l) { return setOf(elements(l)); },
  isInsideCircle: function (latitude, longitude, circle) {
    var c = JSON.parse(string(circle));
    return Number(c.radius) * (UNITS[c.radiusUnit || 'METER'] || 1) > distance([toDouble(latitude), toDouble(longitude)], [Number(c.latitude), Number(c.longitude)]);
  },
  isInsidePolygon: function (latitude, longitude, polygon) {
    var rings = JSON.parse(string(polygon)), point = [toDouble(latitude), toDouble(longitude)];
    if (!Array.isArray(rings[0][0])) rings = [rings];
    return rings.filter(function (ring) { return isInPolygon(point, ring); }).length % 2 === 1;
  }
};
function hexBytes(s) {
  var clean = prepared(given(s), true);
  if (clean === null) throw fail('IllegalArgumentException', 'Hex string must be not empty!');
  if (clean.length % 2) throw fail('IllegalArgumentException', 'Hex string must be even-length.');
  if (isHexadecimal(text(s)) !== 16) throw fail('NumberFormatException', 'Value: "' + text(s) + '" is not numeric or hexDecimal format!');
  return clean.match(/../g).map(function (pair) { return parseInt(pair, 16) << 24 >> 24; });
}
function smallByte(s) {
  var n = parseWhole(s, 10, 32);
  if (n < -128 || n > 127) throw fail('NumberFormatException', 'Value out of range. Value:"' + s + '" Radix:10');
  return n;
}
