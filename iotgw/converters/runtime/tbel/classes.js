// Classes with what they have without an instance, casts, `new` and `instanceof`.
function parseWhole(s, radix, width) {
  var value = bigOf(s, radix);
  if (BigInt.asIntN(width, value) !== value) throw notWhole(s, radix);
  return width === 64 ? value : Number(value);
}
function bigOf(s, radix) {
  var clean = s[0] === '+' || s[0] === '-' ? s.slice(1) : s, digits = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, radix);
  var lower = clean.toLowerCase(), value = 0n, base = BigInt(radix);
  if (!clean || clean.length > 70) throw notWhole(s, radix);
  for (var i = 0; i < lower.length; i++) {
    var digit = digits.indexOf(lower[i]);
    if (digit < 0) throw notWhole(s, radix);
    value = value * base + BigInt(digit);
  }
  return s[0] === '-' ? -value : value;
}
function notWhole(s, radix) { return fail('NumberFormatException', 'For input string: "' + s + '"' + (radix === 10 ? '' : ' under radix ' + radix)); }
function whole(v, width) {
  return width === 64 ? typeof v === 'bigint' ? v : toLong(toDouble(v)) : int(v);
}
function signedText(v, radix) { return BigInt(typeof v === 'bigint' ? v : int(v)).toString(radix === undefined ? 10 : int(radix)); }

function wholeStatics(width) {
  function of(v, radix) { return typeof v === 'string' ? parseWhole(v, radix === undefined ? 10 : int(radix), width) : whole(v, width); }
  function unsigned(v) { return BigInt.asUintN(width, BigInt(whole(v, width))); }
  function back(n) { n = BigInt.asIntN(width, n); return width === 64 ? n : Number(n); }
  function parse(v, radix) { return parseWhole(text(v), radix === undefined ? 10 : int(radix), width); }
  return {
    valueOf: of, toString: function (v, radix) { return signedText(whole(v, width), radix); },
    [width === 64 ? 'parseLong' : 'parseInt']: parse,
    [width === 64 ? 'parseUnsignedLong' : 'parseUnsignedInt']: function (v, radix) {
      var s = text(v), n = bigOf(s, radix === undefined ? 10 : int(radix));
      if (n < 0n || BigInt.asUintN(width, n) !== n) throw notWhole(s, 10);
      return back(n);
    },
    toHexString: function (v) { return unsigned(v).toString(16); },
    toBinaryString: function (v) { return unsigned(v).toString(2); },
    toOctalString: function (v) { return unsigned(v).toString(8); },
    toUnsignedString: function (v) { return unsigned(v).toString(); },
    toUnsignedLong: function (v) { return unsigned(v); },
    bitCount: function (v) { return unsigned(v).toString(2).replace(/0/g, '').length; },
    reverseBytes: function (v) { return back(BigInt('0x' + unsigned(v).toString(16).padStart(width / 4, '0').match(/../g).reverse().join(''))); },
    highestOneBit: function (v) { var n = unsigned(v); return back(n ? 1n << BigInt(n.toString(2).length - 1) : 0n); },
    numberOfLeadingZeros: function (v) { var n = unsigned(v); return n ? width - n.toString(2).length : width; },
    numberOfTrailingZeros: function (v) { var n = unsigned(v); return n ? /0*$/.exec(n.toString(2))[0].length : width; },
    signum: function (v) { return Math.sign(toDouble(v)); },
    compare: function (a, b) { var x = whole(a, width), y = whole(b, width); return x < y ? -1 : x > y ? 1 : 0; },
    max: function (a, b) { var x = whole(a, width), y = whole(b, width); return x > y ? x : y; },
    min: function (a, b) { var x = whole(a, width), y = whole(b, width); return x < y ? x : y; },
    sum: function (a, b) { return operators.add(whole(a, width), whole(b, width)); },
    MAX_VALUE: width === 64 ? MAX_LONG : MAX_INT, MIN_VALUE: width === 64 ? MIN_LONG : MIN_INT
  };
}
var VIEW = new DataView(new ArrayBuffer(8));
function floatStatics(kind, make, limits) {
  return {
    valueOf: function (v) { return make(toDouble(v)); },
    ['parse' + kind]: function (v) { return make(parseDoubleJava(string(v))); },
    toString: function (v) { return text(make(toDouble(v))); },
    isNaN: function (v) { return v !== null && isNaN(toDouble(v)); },
    isInfinite: function (v) { return Math.abs(toDouble(v)) === Infinity; },
    isFinite: function (v) { return isFinite(toDouble(v)); },
    compare: function (a, b) { var x = toDouble(a), y = toDouble(b); return x < y ? -1 : x > y ? 1 : 0; },
    max: function (a, b) { return make(Math.max(toDouble(a), toDouble(b))); },
    min: function (a, b) { return make(Math.min(toDouble(a), toDouble(b))); },
    MAX_VALUE: make(limits[0]), MIN_VALUE: make(limits[1]), NaN: make(NaN), POSITIVE_INFINITY: make(Infinity), NEGATIVE_INFINITY: make(-Infinity)
  };
}
function bitsToFloat(v) { VIEW.setInt32(0, int(v)); return VIEW.getFloat32(0); }
function floatToBits(v) { VIEW.setFloat32(0, v); return VIEW.getInt32(0); }
function bitsToDouble(v) { VIEW.setBigInt64(0, v); return VIEW.getFloat64(0); }
function doubleToBits(v) { VIEW.setFloat64(0, v); return VIEW.getBigInt64(0); }

// Java's Math. Of max and min the interpreter takes the form for whole numbers where one side is an Integer.
function rank(a, b) {
  var x = codeOf(a), y = codeOf(b);
  if (x === INT && y !== LONG || y === INT && x !== LONG) return INT;
  return x === LONG || y === LONG ? LONG : x === DOUBLE || y === DOUBLE ? DOUBLE : x === FLOAT && y === FLOAT ? FLOAT : x === BYTE && y === BYTE ? INT : DOUBLE;
}
function pick(name) {
  return function (a, b) {
    var code = rank(a, b);
    if (code === LONG) { var x = whole(a, 64), y = whole(b, 64); return x > y === (name === 'max') ? x : y; }
    return code === INT ? Math[name](int(a), int(b)) : ofCode(Math[name](toDouble(a), toDouble(b)), code);
  };
}
var mathStatics = {
  PI: double(Math.PI), E: double(Math.E), max: pick('max'), min: pick('min'),
  abs: function (v) {
    var code = codeOf(v);
    if (code === LONG) return long(v < 0n ? -v : v);
    return code === DOUBLE || code === FLOAT ? ofCode(Math.abs(v.v), code) : code === INT || code === BYTE ? Math.abs(int(v)) | 0 : double(Math.abs(toDouble(v)));
  },
  round: function (v) {
    var code = codeOf(v);
    return code === FLOAT || code === LONG ? toInt(Math.floor(toDouble(v) + 0.5)) : toLong(roundHalfUp(toDouble(v)));
  },
  signum: function (v) { return codeOf(v) === FLOAT ? float(Math.sign(v.v)) : double(Math.sign(toDouble(v))); },
  rint: function (v) { var x = toDouble(v), low = Math.floor(x), d = x - low; return double(d < 0.5 ? low : d > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1); },
  toRadians: function (v) { return double(toDouble(v) / 180 * Math.PI); },
  toDegrees: function (v) { return double(toDouble(v) * 180 / Math.PI); },
  random: function () { return double(Math.random()); },
  floorDiv: function (a, b) { return divided(a, b, true); },
  floorMod: function (a, b) { return divided(a, b, false); },
  addExact: exact('add'), subtractExact: exact('sub'), multiplyExact: exact('mul'),
  negateExact: function (v) { return operators.neg(v); },
  toIntExact: function (v) { v = whole(v, 64); if (BigInt.asIntN(32, v) !== v) throw fail('ArithmeticException', 'integer overflow'); return Number(v); },
  ulp: function (v) { var x = Math.abs(toDouble(v)); return double(bitsToDouble(doubleToBits(x) + 1n) - x); }
};
function roundHalfUp(v) { var low = Math.floor(v); return v - low >= 0.5 ? low + 1 : low; }
function divided(a, b, isQuotient) {
  var x = BigInt(whole(a, 64)), y = BigInt(whole(b, 64));
  if (y === 0n) throw fail('ArithmeticException', '/ by zero');
  var rest = (x % y + y) % y, made = isQuotient ? (x - rest) / y : rest;
  return typeof a === 'bigint' || typeof b === 'bigint' ? made : Number(made);
}
function exact(op) {
  return function (a, b) {
    var made = operators[op](a, b);
    if (typeof a === 'number' && typeof b === 'number' && typeof made !== 'number') throw fail('ArithmeticException', 'integer overflow');
    return made;
  };
}
'floor ceil sqrt cbrt exp log log10 log1p expm1 sin cos tan asin acos atan sinh cosh tanh'.split(' ').forEach(function (name) {
  mathStatics[name] = function (v) { return double(Math[name](toDouble(v))); };
});
['pow', 'atan2', 'hypot'].forEach(function (name) {
  mathStatics[name] = function (a, b) { return double(Math[name](toDouble(a), toDouble(b))); };
});

function smallStatics(name, make, low, high) {
  function parse(v, radix) {
    var n = parseWhole(string(v), radix === undefined ? 10 : int(radix), 32);
    if (n < low || n > high) throw fail('NumberFormatException', 'Value out of range. Value:"' + text(v) + '" Radix:10');
    return make(n);
  }
  return {['parse' + name]: parse, valueOf: function (v) { return typeof v === 'string' ? parse(v) : make(int(v)); },
          toUnsignedInt: function (v) { return int(v) & (high * 2 + 1); }, toString: text, MAX_VALUE: make(high), MIN_VALUE: make(low)};
}
function charTest(pattern) { return function (c) { return pattern.test(typeof c === 'number' ? String.fromCodePoint(c) : text(c)); }; }
var CLASSES = new Map();
function define(names, statics) {
  var made = new TClass(names[0], statics);
  names.forEach(function (name) { CLASSES.set(name, made); });
}
define(['Math', 'StrictMath', 'java.lang.Math'], mathStatics);
define(['Integer', 'int', 'java.lang.Integer'], wholeStatics(32));
define(['Long', 'long', 'java.lang.Long'], wholeStatics(64));
define(['Double', 'double', 'java.lang.Double'], Object.assign(floatStatics('Double', double, [Number.MAX_VALUE, Number.MIN_VALUE]), {
  longBitsToDouble: function (v) { return double(bitsToDouble(whole(v, 64))); }, doubleToLongBits: function (v) { return doubleToBits(toDouble(v)); },
  doubleToRawLongBits: function (v) { return doubleToBits(toDouble(v)); }}));
define(['Float', 'float', 'java.lang.Float'], Object.assign(floatStatics('Float', float, [3.4028234663852886e38, 1.401298464324817e-45]), {
  intBitsToFloat: function (v) { return float(bitsToFloat(v)); }, floatToIntBits: function (v) { return floatToBits(toDouble(v)); },
  floatToRawIntBits: function (v) { return floatToBits(toDouble(v)); }}));
define(['Byte', 'byte', 'java.lang.Byte'], smallStatics('Byte', byte, -128, 127));
define(['Short', 'short', 'java.lang.Short'], smallStatics('Short', function (n) { return new TShort(n << 16 >> 16); }, -32768, 32767));
define(['Boolean', 'boolean', 'java.lang.Boolean'], {
  parseBoolean: function (v) { return v !== null && text(v).toLowerCase() === 'true'; }, valueOf: function (v) { return v !== null && text(v).toLowerCase() === 'true'; },
  toString: text, TRUE: true, FALSE: false});
define(['Character', 'char', 'java.lang.Character'], {
  isDigit: charTest(/^\d$/), isLetter: charTest(/^[a-zA-Z\u00aa-\uffff]$/), isLetterOrDigit: charTest(/^[a-zA-Z0-9\u00aa-\uffff]$/), isWhitespace: charTest(/^\s$/),
  isUpperCase: charTest(/^[A-Z]$/), isLowerCase: charTest(/^[a-z]$/), toString: text, valueOf: function (c) { return new TChar(text(c)[0]); },
  getNumericValue: function (c) { var n = parseInt(text(c), 36); return isNaN(n) ? -1 : n; },
  toUpperCase: function (c) { return new TChar(text(c).toUpperCase()); }, toLowerCase: function (c) { return new TChar(text(c).toLowerCase()); }});
define(['String', 'java.lang.String', 'CharSequence'], {
  format: function (pattern, ...args) { return format(pattern, args); }, valueOf: function (v) { return v instanceof TArray ? v.a.map(text).join('') : text(v); },
  join: function (between, ...parts) { return (parts.length === 1 && typeof parts[0] === 'object' && parts[0] !== null ? elements(parts[0]) : parts).map(text).join(text(between)); }});
define(['Number', 'java.lang.Number'], {});
define(['Object', 'java.lang.Object'], {});
define(['Date', 'java.util.Date'], dateStatics);
define(['JSON'], {
  stringify: function (v) { return toJson(v, false); },
  parse: function (s) { return parseJson(s === null ? null : text(s)); }});
define(['Random', 'java.util.Random'], {});
define(['Calendar', 'java.util.Calendar'], {});
define(['java.util.Arrays'], {
  asList: function (...values) { return new TList(values.length === 1 && values[0] instanceof TArray ? values[0].a.slice() : values); },
  copyOfRange: function (a, from, to) {
    from = int(from);
    to = int(to);
    if (from < 0 || from > a.a.length) throw fail('ArrayIndexOutOfBoundsException', 'Array index out of range: ' + from);
    if (from > to) throw fail('IllegalArgumentException', from + ' > ' + to);
    return new TArray(a.kind || 'Object', filled(a.a.slice(from, to), to - from, a.kind));
  },
  copyOf: function (a, length) { return new TArray(a.kind, filled(a.a.slice(0, int(length)), int(length), a.kind)); },
  toString: function (a) { return '[' + elements(a).map(function (one) { return text(one); }).join(', ') + ']'; },
  equals: function (a, b) { return equals(new TList(elements(a)), new TList(elements(b))); },
  fill: function (a, v) { a.a.fill(ofKind(v, a.kind)); return null; },
  sort: function (a) { ordered(a.a); return null; }});
define(['java.util.Collections'], {
  max: function (l) { return ordered(elements(l).slice()).pop(); }, min: function (l) { return ordered(elements(l).slice())[0]; },
  reverse: function (l) { elements(l).reverse(); return null; }, sort: function (l) { ordered(elements(l)); return null; },
  emptyList: function () { return new TList([]); }, emptyMap: function () { return new TMap(); }, singletonList: function (v) { return new TList([v]); }});
var ENCODER = new TClass('java.util.Base64.Encoder', {
  encodeToString: function (data) { return encodeBase64(bytesOf(data)); }, encode: function (data) { return byteArray(latin1Bytes(encodeBase64(bytesOf(data)))); }});
var DECODER = new TClass('java.util.Base64.Decoder', {
  decode: function (s) { return byteArray(base64Bytes(typeof s === 'string' ? s : latin1(bytesOf(s)))); }});
define(['java.util.Base64'], {getEncoder: function () { return ENCODER; }, getDecoder: function () { return DECODER; }});
define(['java.util.Objects'], {
  equals: function (a, b) { return equals(a, b); }, isNull: function (v) { return v === null; }, nonNull: function (v) { return v !== null; },
  toString: function (v, other) { return v === null && other !== undefined ? other : text(v); }, hash: function (...values) { return hash(new TList(values)); }});

function classNamed(name) {
  return CLASSES.get(name) || new TClass(name, {});
}

// --- arrays ---

var ZEROS = {int: 0, long: 0n, double: double(0), float: float(0), byte: byte(0), short: new TShort(0), char: new TChar('\0'), boolean: false};
function filled(a, length, kind) {
  if (length > 1000000) throw fail('ScriptMemoryOverflowException', 'an array has more than 1000000 elements');
  while (a.length < length) a.push(kind in ZEROS ? ZEROS[kind] : null);
  return a;
}
function ofKind(v, kind) { return kind in ZEROS ? cast(v, kind) : v; }
function array(kind, length) {
  length = int(length);
  if (length < 0) throw fail('NegativeArraySizeException', '' + length);
  return new TArray(kind, filled([], length, kind));
}
function arrayOf(kind, items) { return new TArray(kind, items.map(function (one) { return ofKind(one, kind); })); }

// --- casts, tests, new ---

function cast(v, type) {
  if (v === null) return null;
  switch (type.replace(/^java\.lang\./, '')) {
    case 'int': case 'Integer': return v instanceof TChar ? v.v.charCodeAt(0) : typeof v === 'string' ? parseWhole(v, 10, 32) : numberMethods.intValue(v);
    case 'long': case 'Long': return typeof v === 'string' ? parseWhole(v, 10, 64) : v instanceof TChar ? BigInt(v.v.charCodeAt(0)) : whole(v, 64);
    case 'double': case 'Double': return double(toDouble(v));
    case 'float': case 'Float': return float(toDouble(v));
    case 'byte': case 'Byte': return byte(typeof v === 'string' ? parseWhole(v, 10, 8) : numberMethods.intValue(v));
    case 'short': case 'Short': return new TShort((typeof v === 'string' ? parseWhole(v, 10, 16) : numberMethods.intValue(v)) << 16 >> 16);
    case 'char': case 'Character': return v instanceof TChar ? v : typeof v === 'number' ? new TChar(fromCharCode(v)) : new TChar(text(v)[0]);
    case 'boolean': case 'Boolean': return toBoolean(v);
    case 'String': return text(v);
    case 'Number': case 'Object': return v;
  }
  if (!isA(v, type)) throw fail('ClassCastException', classOf(v) + ' cannot be cast to: ' + type);
  return v;
}
function isA(v, type) {
  if (v === null) return false;
  var code = codeOf(v), name = type.replace(/^java\.(?:lang|util)\./, '');
  switch (name) {
    case 'Object': return true;
    case 'String': case 'CharSequence': return code === STRING;
    case 'Integer': case 'int': return code === INT;
    case 'Long': case 'long': return code === LONG;
    case 'Double': case 'double': return code === DOUBLE;
    case 'Float': case 'float': return code === FLOAT;
    case 'Byte': case 'byte': return code === BYTE;
    case 'Short': case 'short': return code === SHORT;
    case 'Character': case 'char': return code === CHAR;
    case 'Boolean': case 'boolean': return code === BOOLEAN;
    case 'Number': return code >= BYTE && code !== CHAR;
    case 'Date': return v instanceof TDate;
    case 'List': case 'ArrayList': return v instanceof TList;
    case 'Collection': return v instanceof TList || v instanceof TSet;
    case 'Set': case 'HashSet': case 'LinkedHashSet': return v instanceof TSet;
    case 'Map': case 'HashMap': case 'LinkedHashMap': return v instanceof TMap;
    case 'Map.Entry': return v instanceof TEntry;
  }
  return name.endsWith('[]') && v instanceof TArray && v.kind === name.slice(0, -2);
}
function make(type, ...args) {
  var name = type.replace(/^java\.(?:lang|util)\./, '');
  switch (name) {
    case 'Date': return newDate(args);
    case 'String': return args.length ? args[0] instanceof TArray ? args[0].kind === 'byte' ? decodeText(args[0].a.map(byteOf), args.length > 1 ? text(args[1]) : 'UTF-8') : args[0].a.map(text).join('') : text(args[0]) : '';
    case 'Integer': case 'Long': case 'Double': case 'Float': case 'Byte': case 'Short': case 'Boolean': return cast(args[0], name);
  }
  if (type.startsWith('java.util.')) {
    var from = args.length && typeof args[0] === 'object' ? args[0] : null;
    switch (name) {
      case 'ArrayList': case 'LinkedList': case 'Vector': return new TList(from === null ? [] : elements(from).slice());
      case 'HashMap': case 'LinkedHashMap': case 'TreeMap': {
        var made = new TMap();
        if (from !== null) mapMethods.putAll(made, from);
        if (name === 'TreeMap') sortMap(made, sortBy('k', true));
        return made;
      }
      case 'HashSet': case 'LinkedHashSet': case 'TreeSet': return setOf(from === null ? [] : name === 'TreeSet' ? ordered(elements(from).slice()) : elements(from));
    }
  }
  throw fail('CompileException', 'could not resolve class: ' + type + ' (here there are Date, String, and of java.util ArrayList, HashMap, HashSet and their kin)');
}
