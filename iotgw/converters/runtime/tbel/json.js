// JSON in and out, with the classes that Jackson gives to numbers: 5 is an Integer, 5000000000 a Long, 5.0 a Double.
// The engine's own parser loses nothing where there is no 5.0, no 1e3, no number of many digits, and no number for a key.
var LOSSY = /\d\.\d*0(?!\d)|\d[eE]|\d{16}|-0/, NUMERIC_KEY = /"\d+"\s*:|__proto__/, STRINGS = /"(?:[^"\\]|\\.)*"/g;
function isFast(source) {
  return !NUMERIC_KEY.test(source) && (!LOSSY.test(source) || !LOSSY.test(source.replace(STRINGS, '"')));
}

function parseJson(source) {
  if (source === null) return null;
  if (isFast(source)) {
    try { return fromJson(JSON.parse(source), 0); } catch (error) {
      if (error instanceof Failure) throw error;
      throw fail('JsonParseException', 'not JSON: ' + error.message);
    }
  }
  return new JsonReader(source).document();
}

// A value of JavaScript's as one of TBEL's
function fromJson(v, depth) {
  if (typeof v === 'number') return numberOf(v);
  if (typeof v === 'string' || typeof v === 'boolean') return v;
  if (v === null || v === undefined) return null;
  deep(depth);
  if (Array.isArray(v)) return new TList(v.map(function (one) { return fromJson(one, depth + 1); }));
  var made = new TMap(), names = Object.keys(v);
  for (var i = 0; i < names.length; i++) {
    var value = fromJson(v[names[i]], depth + 1);
    if (value !== null) made.m.set(names[i], new TEntry(names[i], value));
  }
  return made;
}
function numberOf(v) {
  if (!Number.isInteger(v) || Object.is(v, -0) || Math.abs(v) > 9007199254740991) return new TDouble(v);
  return v === (v | 0) ? v : BigInt(v);
}

class JsonReader {
  constructor(source) { this.s = source; this.i = 0; }
  document() {
    var made = this.value(0);
    this.space();
    return made;               // Jackson's readTree doesn't look at what comes after
  }
  error() {
    var what = this.i < this.s.length ? JSON.stringify(this.s[this.i]) + ' at ' + this.i : 'the end of the text';
    return fail('JsonParseException', 'not JSON: unexpected ' + what);
  }
  space() { while (' \t\n\r'.includes(this.s[this.i] || 'x')) this.i++; }
  value(depth) {
    deep(depth);
    this.space();
    var c = this.s[this.i];
    if (c === '{') return this.map(depth);
    if (c === '[') return this.list(depth);
    if (c === '"') return this.string();
    for (var word of ['true', 'false', 'null']) {
      if (this.s.startsWith(word, this.i)) { this.i += word.length; return word === 'null' ? null : word === 'true'; }
    }
    return this.number();
  }
  number() {
    NUMBER.lastIndex = this.i;
    var match = NUMBER.exec(this.s);
    if (!match) throw this.error();
    this.i += match[0].length;
    if (match[1] !== undefined) return new TDouble(Number(match[0]));
    var whole = BigInt(match[0]);
    if (whole === BigInt.asIntN(32, whole)) return Number(whole);
    return whole === BigInt.asIntN(64, whole) ? whole : new TDouble(Number(whole));
  }
  string() {
    STRING_TOKEN.lastIndex = this.i;
    var match = STRING_TOKEN.exec(this.s);
    if (!match) throw this.error();
    this.i += match[0].length;
    try { return JSON.parse(match[0]); } catch (bad) { throw fail('JsonParseException', 'not JSON: ' + bad.message); }
  }
  more(end) {
    this.space();
    var c = this.s[this.i++];
    if (c === end) return false;
    if (c !== ',') { this.i--; throw this.error(); }
    return true;
  }
  isEmpty(end) {
    this.i++;
    this.space();
    if (this.s[this.i] !== end) return false;
    this.i++;
    return true;
  }
  list(depth) {
    var made = [];
    if (this.isEmpty(']')) return new TList(made);
    do made.push(this.value(depth + 1)); while (this.more(']'));
    return new TList(made);
  }
  map(depth) {
    var made = new TMap();
    if (this.isEmpty('}')) return made;
    do {
      this.space();
      var key = this.string();
      this.space();
      if (this.s[this.i++] !== ':') { this.i--; throw this.error(); }
      mapPut(made, key, this.value(depth + 1));
    } while (this.more('}'));
    return made;
  }
}
var NUMBER = /-?(?:0|[1-9]\d*)(\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)?/y, STRING_TOKEN = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;

// JSON of a value. Jackson writes bytes in base64, and NaN and the infinities as texts. In a result (`isResult`), an array is a list, and NaN
// null, which the gateway leaves out with a warning.
function toJson(v, isResult, depth) {
  switch (typeof v) {
    case 'string': return JSON.stringify(v);
    case 'number': case 'bigint': case 'boolean': return '' + v;
  }
  if (v === null || v === undefined) return 'null';
  if (v instanceof TDouble || v instanceof TFloat) {
    if (!isFinite(v.v)) return isResult ? 'null' : '"' + finiteName(v.v) + '"';
    return text(v);
  }
  if (v instanceof TByte || v instanceof TShort) return '' + v.v;
  if (v instanceof TChar || v instanceof TDate || v instanceof TClass) return JSON.stringify(text(v));
  depth = (depth || 0) + 1;
  deep(depth);
  if (v instanceof TArray && v.kind === 'byte' && !isResult) return '"' + encodeBase64(v.a.map(byteOf)) + '"';
  if (v instanceof TList || v instanceof TSet || v instanceof TArray) {
    return '[' + elements(v).map(function (one) { return toJson(one, isResult, depth); }).join(',') + ']';
  }
  if (v instanceof TEntry) return '{' + JSON.stringify(text(v.k)) + ':' + toJson(v.v, isResult, depth) + '}';
  if (v instanceof TMap) {
    return '{' + entries(v).map(function (one) { return JSON.stringify(text(one.k)) + ':' + toJson(one.v, isResult, depth); }).join(',') + '}';
  }
  throw fail('ClassCastException', classOf(v) + ' has no JSON');
}
