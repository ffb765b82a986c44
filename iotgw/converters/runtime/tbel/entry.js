// What a translated script calls (iotgw/converters/tbel), and how its messages come in and go out.
function each(v) {
  if (v instanceof TList || v instanceof TArray || v instanceof TSet) return elements(v).slice();
  if (typeof v === 'string') return stringMethods.toCharArray(v).a;
  if (typeof v === 'number' && v <= 1000000) return Array.from({length: Math.max(v, 0)}, function (ignored, i) { return i + 1; });
  if (v === null) throw fail('NullPointerException', 'expected a list to go through, got null');
  throw fail('CompileException', 'non-iterable type: ' + classOf(v) + (v instanceof TMap ? ' (go through its entrySet())' : ''));
}
function contains(a, b) {
  if (a === null) return false;
  if (a instanceof TMap) return mapHas(a, b);
  if (a instanceof TList || a instanceof TArray || a instanceof TSet) return find(elements(a), b) >= 0;
  return text(a).includes(text(b));
}
function unknown(name) { throw fail('PropertyAccessException', 'unresolvable property or identifier: ' + name); }
function functionNamed(name, ...args) {
  var found = own(functions, name);
  if (!found) throw fail('PropertyAccessException', 'function not found: ' + name);
  var made = found(...args);
  return made === undefined ? null : made;
}
function tooMany(name, count, ...args) {
  throw fail('IllegalArgumentException', name + ': expected at most ' + count + ' arguments, got ' + args.length);
}
var warned = new Set();
function warn(message, is) {
  if (!is || warned.has(message)) return;
  warned.add(message);
  log(message);
}
function loop() { return true; }
var runtime = Object.assign({}, operators, {
  get: get, safe: safe, set: set, at: at, setAt: setAt, call: callMethod, safeCall: safeCall,
  update: function (o, name, op, v) { return set(o, name, op(get(o, name), v)); },
  updateAt: function (o, i, op, v) { return setAt(o, i, op(at(o, i), v)); },
  bool: bool, loop: loop, each: each, warn: warn, unnamed: unnamed, contains: contains, unknown: unknown, functionNamed: functionNamed, tooMany: tooMany,
  matches: function (a, b) { return stringMethods.matches(string(a), b); },
  list: list, map: map, double: double, float: float, empty: EMPTY, classNamed: classNamed, cast: cast, isA: isA, make: make, array: array, arrayOf: arrayOf
});
give('__tbel', Object.freeze(runtime));

adapters.tbel = function (fn) {
  return function (payload, metadata) {
    warned.clear();
    return new Ready(toJson(fn(byteList(payload), fromJson(metadata, 0)), true));
  };
};
adapters['tbel-encoder'] = function (fn) {
  return function (message, metadata) {
    warned.clear();
    return new Ready(toJson(fn(fromJson(message[0], 0), fromJson(metadata, 0), message[1] || '', fromJson(message[2] || {}, 0)), true));
  };
};
