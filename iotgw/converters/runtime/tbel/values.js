// TBEL's values, which are Java's. An Integer is a number, a Long a BigInt, a String a string, a Boolean a boolean; the
// other numbers and the collections are objects of the classes here.
class Failure extends Error {
  constructor(name, message) { super(message); this.name = name; }
}
function fail(name, message) { return new Failure(name, message); }

class TDouble { constructor(v) { this.v = v; } }
class TFloat { constructor(v) { this.v = v; } }
class TByte { constructor(v) { this.v = v; } }
class TShort { constructor(v) { this.v = v; } }
class TChar { constructor(v) { this.v = v; } }
class TList { constructor(a) { this.a = a; } }
class TArray { constructor(kind, a) { this.kind = kind; this.a = a; } }
class TSet { constructor() { this.m = new Map(); } }
class TEntry { constructor(k, v) { this.k = k; this.v = v; } }
class TMap { constructor() { this.m = new Map(); } }
class TClass { constructor(name, statics) { this.name = name; this.statics = statics; } }
class TDate { constructor(ms) { this.ms = ms; } }
class TUnnamed { constructor(name) { this.name = name; } }   // the key of an entry that has none (see tbel/values.py)
class TIterator { constructor(a) { this.a = a; this.i = 0; } }

var BYTE = 99, SHORT = 105, INT = 106, LONG = 107, FLOAT = 108, DOUBLE = 109, CHAR = 112, STRING = 1, BOOLEAN = 15, COLLECTION = 50;
TByte.prototype.code = BYTE;
TShort.prototype.code = SHORT;
TFloat.prototype.code = FLOAT;
TDouble.prototype.code = DOUBLE;
TChar.prototype.code = CHAR;
TList.prototype.code = COLLECTION;
TSet.prototype.code = COLLECTION;

// The interpreter's number for a value's class (its DataTypes); 0 for null and all others.
function codeOf(v) {
  switch (typeof v) {
    case 'number': return INT;
    case 'string': return STRING;
    case 'bigint': return LONG;
    case 'boolean': return BOOLEAN;
    default: return v === null || v === undefined ? 0 : v.code || 0;
  }
}

var NAMES = [[TDouble, 'java.lang.Double'], [TFloat, 'java.lang.Float'], [TByte, 'java.lang.Byte'], [TShort, 'java.lang.Short'],
             [TChar, 'java.lang.Character'], [TList, 'java.util.ArrayList'], [TMap, 'java.util.LinkedHashMap'], [TSet, 'java.util.LinkedHashSet'],
             [TEntry, 'java.util.Map.Entry'], [TDate, 'Date'], [TIterator, 'java.util.Iterator']];
function classOf(v) {
  switch (typeof v) {
    case 'number': return 'java.lang.Integer';
    case 'string': return 'java.lang.String';
    case 'bigint': return 'java.lang.Long';
    case 'boolean': return 'java.lang.Boolean';
    case 'function': return 'function';
  }
  if (v === null || v === undefined) return 'null';
  if (v instanceof TArray) return v.kind + '[]';
  if (v instanceof TClass) return 'java.lang.Class';
  for (var i = 0; i < NAMES.length; i++) if (v instanceof NAMES[i][0]) return NAMES[i][1];
  return 'java.lang.Object';
}

var BYTES = [];
for (var b = -128; b < 128; b++) BYTES.push(Object.freeze(new TByte(b)));
function byte(n) { return BYTES[(n << 24 >> 24) + 128]; }
function double(v) { return new TDouble(v); }
function float(v) { return new TFloat(Math.fround(v)); }
function long(n) { return BigInt.asIntN(64, n); }
function char(v) { return new TChar(v); }

// --- texts of numbers: Java's Double.toString and Float.toString ---

function javaNumber(digits) {   // what JavaScript writes, as Java does: 1.0E10, 5.0
  var match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(digits), whole = match[2], part = match[3] || '';
  var exponent = whole.length - 1 + Number(match[4] || 0), all = whole + part;
  var zeros = /^0*/.exec(all)[0].length;
  if (zeros === all.length) return match[1] + '0.0';
  all = all.slice(zeros).replace(/0+$/, '');
  exponent -= zeros;
  if (exponent >= 7 || exponent < -3) return match[1] + all[0] + '.' + (all.slice(1) || '0') + 'E' + exponent;
  if (exponent < 0) return match[1] + '0.' + '0'.repeat(-exponent - 1) + all;
  return match[1] + all.slice(0, exponent + 1).padEnd(exponent + 1, '0') + '.' + (all.slice(exponent + 1) || '0');
}
function finiteName(v) { return v !== v ? 'NaN' : v > 0 ? 'Infinity' : '-Infinity'; }
function doubleText(v) {
  if (!isFinite(v)) return finiteName(v);
  return v === 0 ? (1 / v < 0 ? '-0.0' : '0.0') : javaNumber('' + v);
}
function shortest(v) {          // the fewest digits that mean this float
  for (var digits = 1; digits < 10; digits++) {
    var text = v.toPrecision(digits);
    if (Math.fround(Number(text)) === v) return '' + Number(text);
  }
  return '' + v;
}
function floatText(v) {
  if (!isFinite(v)) return finiteName(v);
  return v === 0 ? (1 / v < 0 ? '-0.0' : '0.0') : javaNumber(shortest(v));
}

var DEPTH = 200;                // of collections in one another
function deep(depth) { if (depth > DEPTH) throw fail('StackOverflowError', 'a collection is nested more than ' + DEPTH + ' levels deep, or holds itself'); }

// String.valueOf
function text(v, depth) {
  switch (typeof v) {
    case 'string': return v;
    case 'number': case 'bigint': case 'boolean': return '' + v;
    case 'function': return 'function';
  }
  if (v === null || v === undefined) return 'null';
  if (v instanceof TDouble) return doubleText(v.v);
  if (v instanceof TFloat) return floatText(v.v);
  if (v instanceof TByte || v instanceof TShort || v instanceof TChar) return '' + v.v;
  if (v instanceof TDate) return dateText(v, 'full', 'full');
  depth = (depth || 0) + 1;
  deep(depth);
  if (v instanceof TList || v instanceof TSet) return '[' + elements(v).map(function (one) { return text(one, depth); }).join(', ') + ']';
  if (v instanceof TEntry) return text(v.k, depth) + '=' + text(v.v, depth);
  if (v instanceof TMap) return '{' + entries(v).map(function (one) { return text(one.k, depth) + '=' + text(one.v, depth); }).join(', ') + '}';
  if (v instanceof TUnnamed) return text(v.name);
  if (v instanceof TClass) return 'class ' + v.name;
  return classOf(v);
}

// --- equality and order ---

// Object.equals: numbers of different classes are never equal
function equals(a, b, depth) {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  var code = codeOf(a);
  if (code !== codeOf(b)) return false;
  if (code === DOUBLE || code === FLOAT) return a.v === b.v ? a.v !== 0 || 1 / a.v === 1 / b.v : a.v !== a.v && b.v !== b.v;
  if (code >= BYTE) return a.v === b.v;
  depth = (depth || 0) + 1;
  deep(depth);
  if (a instanceof TList && b instanceof TList) {
    return a.a.length === b.a.length && a.a.every(function (one, i) { return equals(one, b.a[i], depth); });
  }
  if (a instanceof TSet && b instanceof TSet) {
    return a.m.size === b.m.size && elements(a).every(function (one) { return b.m.has(keyOf(one)); });
  }
  if (a instanceof TMap && b instanceof TMap) {
    return a.m.size === b.m.size && entries(a).every(function (one) { return mapHas(b, one.k) && equals(one.v, mapGet(b, one.k), depth); });
  }
  if (a instanceof TEntry && b instanceof TEntry) return equals(a.k, b.k, depth) && equals(a.v, b.v, depth);
  return a instanceof TDate && b instanceof TDate && a.ms === b.ms;
}
function compareTexts(a, b) {   // String.compareTo
  var length = Math.min(a.length, b.length);
  for (var i = 0; i < length; i++) if (a[i] !== b[i]) return a.charCodeAt(i) - b.charCodeAt(i);
  return a.length - b.length;
}
function hash(v) {
  if (typeof v === 'number') return v;
  if (typeof v === 'boolean') return v ? 1231 : 1237;
  if (v === null) return 0;
  if (v instanceof TList) return v.a.reduce(function (sum, one) { return Math.imul(31, sum) + hash(one) | 0; }, 1);
  if (typeof v === 'bigint') return Number(BigInt.asIntN(32, v ^ BigInt.asUintN(64, v) >> 32n));
  for (var s = text(v), sum = 0, i = 0; i < s.length; i++) sum = Math.imul(31, sum) + s.charCodeAt(i) | 0;
  return sum;
}

// --- collections ---

function list(a) { return new TList(a); }
function keyOf(k) {
  return k !== null && typeof k === 'object' ? (k instanceof TUnnamed ? '\0null' : '\0') + (k.code || 0) + text(k) : k;
}
function unnamed(name) { return new TUnnamed(name); }
function mapGet(m, k) {
  var found = m.m.get(keyOf(k));
  return found === undefined ? null : found.v;
}
function mapHas(m, k) { return m.m.has(keyOf(k)); }
// A map of TBEL holds no nulls: what is set to null is taken out
function mapPut(m, k, v) {
  var key = keyOf(k), found = m.m.get(key), old = found === undefined ? null : found.v;
  if (v === null) m.m.delete(key);
  else if (found === undefined) m.m.set(key, new TEntry(k, v));
  else found.v = v;
  return old;
}
function entries(m) { return Array.from(m.m.values()); }
function map(pairs) {
  var made = new TMap();
  for (var i = 0; i < pairs.length; i += 2) mapPut(made, pairs[i], pairs[i + 1]);
  return made;
}
function setAdd(s, v) {
  var key = keyOf(v), is = !s.m.has(key);
  if (is) s.m.set(key, v);
  return is;
}
function setOf(values) {
  var made = new TSet();
  values.forEach(function (one) { setAdd(made, one); });
  return made;
}
// What a collection or an array holds
function elements(v) {
  if (v instanceof TList || v instanceof TArray) return v.a;
  if (v instanceof TSet) return Array.from(v.m.values());
  throw v === null ? fail('NullPointerException', 'expected a list, got null') : fail('ClassCastException', 'expected a list, got ' + classOf(v));
}
