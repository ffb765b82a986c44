// Properties, elements and methods of values. A property is a method without arguments (`x.size`, `d.time` for getTime), or what a map
// has under that name, in this order.
function int(v) {               // the conversions that Java's methods get for their arguments
  if (typeof v === 'number') return v;
  if (typeof v === 'bigint') return Number(BigInt.asIntN(32, v));
  if (typeof v === 'string') return parseWhole(v, 10, 32);
  if (v instanceof TChar) return v.v.charCodeAt(0);
  if (v !== null && codeOf(v) >= BYTE) return toInt(v.v);
  if (typeof v === 'boolean') return v ? 1 : 0;
  throw fail('IllegalArgumentException', 'expected a whole number, got ' + (v === null ? 'null' : classOf(v)));
}
function string(v) {
  if (v === null) throw fail('NullPointerException', 'expected a text, got null');
  return text(v);
}
function collection(v) {
  if (v instanceof TMap) throw fail('IllegalArgumentException', 'expected a list, got a map');
  return elements(v);
}
function indexIn(a, i) {
  i = int(i);
  if (i < 0 || i >= a.length) throw fail('IndexOutOfBoundsException', 'Index ' + i + ' out of bounds for length ' + a.length);
  return i;
}
function find(a, v) { return a.findIndex(function (one) { return equals(one, v); }); }
function startOf(a, i) { i = int(i); return i < 0 ? Math.max(i + a.length, 0) : Math.min(i, a.length); }
function ordered(a, isAscending) {
  if (a.every(function (one) { return typeof one === 'string'; })) a.sort(compareTexts);
  else {
    var weights = new Map(a.map(function (one) { return [one, parseDoubleJava(text(one))]; }));
    a.sort(function (x, y) { return weights.get(x) - weights.get(y); });
  }
  if (isAscending === false) a.reverse();
  return a;
}
function splice(l, start, count, values) {
  start = startOf(l.a, start);
  return new TList(l.a.splice(start, Math.max(count === undefined ? l.a.length - start : int(count), 0), ...values));
}

var objectMethods = {
  toString: function (v) { return text(v); },
  hashCode: function (v) { return hash(v); },
  equals: function (v, o) { return equals(v, o) || v instanceof TChar && o === v.v || o instanceof TChar && v === o.v; }
};
var collectionMethods = {
  size: function (l) { return elements(l).length; },
  isEmpty: function (l) { return elements(l).length === 0; },
  contains: function (l, v) { return l instanceof TSet ? l.m.has(keyOf(v)) : find(l.a, v) >= 0; },
  containsAll: function (l, o) { return collection(o).every(function (one) { return find(elements(l), one) >= 0; }); },
  iterator: function (l) { return new TIterator(elements(l).slice()); },
  toArray: function (l) { return new TArray('Object', elements(l).slice()); }
};
var listMethods = Object.assign({}, collectionMethods, {
  length: collectionMethods.size,
  add: function (l, i, v) {
    if (v === undefined) return l.a.push(i), true;
    var at = int(i);
    if (at < 0 || at > l.a.length) throw fail('IndexOutOfBoundsException', 'Index: ' + at + ', Size: ' + l.a.length);
    l.a.splice(at, 0, v);
    return null;
  },
  addAll: function (l, i, more) {
    if (more === undefined) l.a = l.a.concat(collection(i));
    else l.a.splice(int(i), 0, ...collection(more));
    return true;
  },
  push: function (l, v) { return l.a.push(v), true; },
  pop: function (l) { return l.a.length ? l.a.pop() : null; },
  shift: function (l) { return l.a.splice(indexIn(l.a, 0), 1)[0]; },
  unshift: function (l, v) { l.a.unshift(v); return null; },
  get: function (l, i) { return l.a[indexIn(l.a, i)]; },
  set: function (l, i, v) { var at = indexIn(l.a, i), old = l.a[at]; l.a[at] = v; return old; },
  remove: function (l, v) {
    if (typeof v === 'number') return l.a.splice(indexIn(l.a, v), 1)[0];
    var at = find(l.a, v);
    if (at >= 0) l.a.splice(at, 1);
    return at >= 0;
  },
  removeAll: function (l, o) { return retain(l, o, false); },
  retainAll: function (l, o) { return retain(l, o, true); },
  clear: function (l) { l.a = []; return null; },
  indexOf: function (l, v, from) { var at = find(l.a.slice(from === undefined ? 0 : startOf(l.a, from)), v); return at < 0 || from === undefined ? at : at + int(from); },
  lastIndexOf: function (l, v) { for (var i = l.a.length - 1; i >= 0; i--) if (equals(l.a[i], v)) return i; return -1; },
  subList: function (l, from, to) {
    from = int(from);
    to = int(to);
    if (from < 0 || to > l.a.length || from > to) throw fail('IndexOutOfBoundsException', 'subList ' + from + ' to ' + to + ' of ' + l.a.length);
    return new TList(l.a.slice(from, to));
  },
  slice: function (l, from = undefined, to = undefined) { return new TList(l.a.slice(from === undefined ? 0 : startOf(l.a, from), to === undefined ? l.a.length : startOf(l.a, to))); },
  join: function (l, between = undefined) { return l.a.map(string).join(between === undefined ? ',' : text(between)).replace(/, /g, ',').replace(/[\[\]]/g, ''); },
  sort: function (l, isAscending = undefined) { ordered(l.a, isAscending); return null; },
  toSorted: function (l, isAscending = undefined) { return new TList(ordered(l.a.slice(), isAscending)); },
  reverse: function (l) { l.a.reverse(); return null; },
  toReversed: function (l) { return new TList(l.a.slice().reverse()); },
  concat: function (l, o) { return new TList(l.a.concat(collection(o))); },
  splice: function (l, start, count, ...values) { return splice(l, start, count, values); },
  toSpliced: function (l, start, count, ...values) { var made = new TList(l.a.slice()); splice(made, start, count === undefined ? 0 : count, values); return made; },
  with: function (l, i, v) {
    var at = int(i) < 0 ? int(i) + l.a.length : int(i), made = l.a.slice();
    made.splice(indexIn(l.a, at), 0, v);
    return new TList(made);
  },
  fill: function (l, v, from, to) { l.a.fill(v, from === undefined ? 0 : startOf(l.a, from), to === undefined ? l.a.length : startOf(l.a, to)); return l; }
});
function retain(l, o, isKept) {
  var others = collection(o), kept = l.a.filter(function (one) { return find(others, one) >= 0 === isKept; }), isChanged = kept.length !== l.a.length;
  l.a = kept;
  return isChanged;
}
var setMethods = Object.assign({}, collectionMethods, {
  add: function (s, v) { return setAdd(s, v); },
  addAll: function (s, o) { return collection(o).map(function (one) { return setAdd(s, one); }).includes(true); },
  remove: function (s, v) { return s.m.delete(keyOf(v)); },
  clear: function (s) { s.m.clear(); return null; },
  toList: function (s) { return new TList(elements(s)); }
});
var iteratorMethods = {
  hasNext: function (i) { return i.i < i.a.length; },
  next: function (i) { if (i.i >= i.a.length) throw fail('NoSuchElementException', 'no more elements'); return i.a[i.i++]; }
};
var entryMethods = {
  getKey: function (e) { return e.k; },
  getValue: function (e) { return e.v; },
  setValue: function (e, v) { var old = e.v; e.v = v; return old; }
};
function sortMap(m, order) {
  var all = entries(m);
  order(all);
  m.m = new Map(all.map(function (one) { return [keyOf(one.k), one]; }));
  return null;
}
function sortBy(part, isAscending) {
  return function (all) {
    var values = all.map(function (one) { return one[part]; }), isText = values.every(function (one) { return typeof one === 'string'; });
    var weight = isText ? text : function (v) { return parseDoubleJava(text(v)); };
    all.sort(function (x, y) { return isText ? compareTexts(x[part], y[part]) : weight(x[part]) - weight(y[part]); });
    if (isAscending === false) all.reverse();
  };
}
var mapMethods = {
  size: function (m) { return m.m.size; },
  isEmpty: function (m) { return m.m.size === 0; },
  get: function (m, k) { return mapGet(m, k); },
  getOrDefault: function (m, k, other) { return mapHas(m, k) ? mapGet(m, k) : other; },
  put: function (m, k, v) { return mapPut(m, k, v); },
  putIfAbsent: function (m, k, v) { var was = mapGet(m, k); if (was === null) mapPut(m, k, v); return was; },
  putAll: function (m, o) {
    if (!(o instanceof TMap)) throw fail('IllegalArgumentException', 'expected a map, got ' + (o === null ? 'null' : classOf(o)));
    entries(o).forEach(function (one) { mapPut(m, one.k, one.v); });
    return null;
  },
  replace: function (m, k, v) { return mapHas(m, k) ? mapPut(m, k, v) : null; },
  remove: function (m, k) { var was = mapGet(m, k); m.m.delete(keyOf(k)); return was; },
  clear: function (m) { m.m.clear(); return null; },
  containsKey: function (m, k) { return mapHas(m, k); },
  containsValue: function (m, v) { return entries(m).some(function (one) { return equals(one.v, v); }); },
  keySet: function (m) { return setOf(entries(m).map(function (one) { return one.k; })); },
  keys: function (m) { return new TList(entries(m).map(function (one) { return one.k; })); },
  values: function (m) { return new TList(entries(m).map(function (one) { return one.v; })); },
  entrySet: function (m) { var made = new TSet(); entries(m).forEach(function (one, i) { made.m.set(i, new TEntry(one.k, one.v)); }); return made; },
  sortByKey: function (m, isAscending = undefined) { return sortMap(m, sortBy('k', isAscending)); },
  sortByValue: function (m, isAscending = undefined) { return sortMap(m, sortBy('v', isAscending)); }
};
function bounds(s, from, to) {
  if (from < 0 || to > s.length || from > to) throw fail('StringIndexOutOfBoundsException', 'begin ' + from + ', end ' + to + ', length ' + s.length);
}
var stringMethods = {
  length: function (s) { return s.length; },
  isEmpty: function (s) { return s === ''; },
  isBlank: function (s) { return s.trim() === ''; },
  charAt: function (s, i) { i = int(i); if (i < 0 || i >= s.length) throw fail('StringIndexOutOfBoundsException', 'String index out of range: ' + i); return new TChar(s[i]); },
  codePointAt: function (s, i) { i = int(i); bounds(s, i, s.length - 1); return s.codePointAt(i); },
  substring: function (s, from, to) { from = int(from); to = to === undefined ? s.length : int(to); bounds(s, from, to); return s.slice(from, to); },
  subSequence: function (s, from, to) { return stringMethods.substring(s, from, to); },
  indexOf: function (s, o, from) { return s.indexOf(typeof o === 'number' ? String.fromCodePoint(o) : string(o), from === undefined ? 0 : int(from)); },
  lastIndexOf: function (s, o, from) { return s.lastIndexOf(typeof o === 'number' ? String.fromCodePoint(o) : string(o), from === undefined ? Infinity : int(from)); },
  contains: function (s, o) { return s.includes(string(o)); },
  startsWith: function (s, o, from) { return s.startsWith(string(o), from === undefined ? 0 : int(from)); },
  endsWith: function (s, o) { return s.endsWith(string(o)); },
  equalsIgnoreCase: function (s, o) { return o !== null && s.toLowerCase() === text(o).toLowerCase(); },
  compareTo: function (s, o) { return compareTexts(s, string(o)); },
  compareToIgnoreCase: function (s, o) { return compareTexts(s.toLowerCase(), string(o).toLowerCase()); },
  toUpperCase: function (s) { return s.toUpperCase(); },
  toLowerCase: function (s) { return s.toLowerCase(); },
  trim: function (s) { return s.replace(/^[\0- ]+|[\0- ]+$/g, ''); },
  strip: function (s) { return s.trim(); },
  stripLeading: function (s) { return s.trimStart(); },
  stripTrailing: function (s) { return s.trimEnd(); },
  concat: function (s, o) { return joinedText(s, string(o)); },
  repeat: function (s, n) {
    n = int(n);
    if (n < 0) throw fail('IllegalArgumentException', 'count is negative: ' + n);
    if (s.length * n > MAX_TEXT) throw fail('ScriptMemoryOverflowException', 'Max string length overflow (' + s.length * n + ' > ' + MAX_TEXT + ')!');
    return s.repeat(n);
  },
  replace: function (s, from, to) { return grown(s.split(string(from)), string(to)); },
  replaceAll: function (s, from, to) { return s.replace(regex(string(from), 'g'), replacement(string(to))); },
  replaceFirst: function (s, from, to) { return s.replace(regex(string(from), ''), replacement(string(to))); },
  matches: function (s, pattern) { return regex('^(?:' + string(pattern) + ')$', 's').test(s); },
  split: function (s, pattern, limit) { return new TArray('String', splitText(s, string(pattern), limit === undefined ? 0 : int(limit))); },
  toCharArray: function (s) { return new TArray('char', Array.from({length: s.length}, function (ignored, i) { return new TChar(s[i]); })); },
  chars: function (s) { return new TList(Array.from({length: s.length}, function (ignored, i) { return s.charCodeAt(i); })); },
  getBytes: function (s, charset = undefined) { return new TArray('byte', encodeText(s, charset === undefined ? 'UTF-8' : text(charset)).map(byte)); },
  formatted: function (s, ...args) { return format(s, args); },
  intern: function (s) { return s; }
};
function grown(parts, between) {
  if (parts.length * between.length > MAX_TEXT) throw fail('ScriptMemoryOverflowException', 'a text has more than ' + MAX_TEXT + ' characters');
  return parts.join(between);
}
var numberMethods = {
  intValue: function (v) { return typeof v === 'bigint' ? Number(BigInt.asIntN(32, v)) : toInt(toDouble(v)); },
  longValue: function (v) { return typeof v === 'bigint' ? v : toLong(toDouble(v)); },
  doubleValue: function (v) { return new TDouble(toDouble(v)); },
  floatValue: function (v) { return float(toDouble(v)); },
  byteValue: function (v) { return byte(numberMethods.intValue(v)); },
  shortValue: function (v) { return new TShort(numberMethods.intValue(v) << 16 >> 16); },
  isNaN: function (v) { return v.v !== v.v; },
  isInfinite: function (v) { return Math.abs(v.v) === Infinity; },
  compareTo: function (v, o) { return Math.sign(toDouble(v) - toDouble(o)); }
};
var charMethods = {
  charValue: function (c) { return c; },
  compareTo: function (c, o) { return compareTexts(c.v, text(o)); }
};
var arrayMethods = {length: function (a) { return a.a.length; }, size: function (a) { return a.a.length; }, isEmpty: function (a) { return a.a.length === 0; },
                    contains: collectionMethods.contains, clone: function (a) { return new TArray(a.kind, a.a.slice()); }};

function methodsOf(v) {
  if (v instanceof TMap) return mapMethods;
  if (v instanceof TList) return listMethods;
  if (typeof v === 'string') return stringMethods;
  if (v instanceof TArray) return arrayMethods;
  if (v instanceof TEntry) return entryMethods;
  if (v instanceof TDate) return dateMethods;
  if (v instanceof TSet) return setMethods;
  if (v instanceof TChar) return charMethods;
  if (v instanceof TIterator) return iteratorMethods;
  return codeOf(v) >= BYTE ? numberMethods : objectMethods;
}
function own(object, name) { return hasOwn(object, name) ? object[name] : undefined; }
function getterOf(methods, name) {
  var capital = name[0].toUpperCase() + name.slice(1);
  return own(methods, 'get' + capital) || own(methods, 'is' + capital) || own(methods, name) || own(objectMethods, name);
}

function get(o, name) {
  if (o === null) throw fail('NullPointerException', 'null has no property ' + name);
  if (o instanceof TClass) {
    var constant = own(o.statics, name);
    if (constant === undefined || typeof constant === 'function') throw fail('PropertyAccessException', o.name + ' has no ' + name);
    return constant;
  }
  var getter = getterOf(methodsOf(o), name);
  if (getter && getter.length < 2) return getter(o);
  if (o instanceof TMap) return mapGet(o, name);
  throw fail('PropertyAccessException', 'could not access: ' + name + '; in class: ' + classOf(o));
}
function safe(o, name) { return o === null ? null : get(o, name); }
function set(o, name, v) {
  if (o === null) throw fail('NullPointerException', 'null has no property ' + name + ' that could be set');
  if (o instanceof TMap) { mapPut(o, name, v); return v; }
  var setter = own(methodsOf(o), 'set' + name[0].toUpperCase() + name.slice(1));
  if (!setter) throw fail('PropertyAccessException', 'could not access property (' + name + ') in: ' + classOf(o));
  setter(o, v);
  return v;
}
function at(o, i) {
  if (o === null) throw fail('NullPointerException', 'null has no element ' + text(i));
  if (o instanceof TMap) return mapGet(o, i);
  if (o instanceof TList || o instanceof TArray) return o.a[indexIn(o.a, i)];
  if (typeof o === 'string') return stringMethods.charAt(o, i);
  if (typeof i === 'string') return get(o, i);
  throw fail('PropertyAccessException', classOf(o) + ' has no elements');
}
function setAt(o, i, v) {
  if (o === null) throw fail('NullPointerException', 'null has no element ' + text(i) + ' that could be set');
  if (o instanceof TMap) mapPut(o, i, v);
  else if (o instanceof TList) o.a[indexIn(o.a, i)] = v;
  else if (o instanceof TArray) o.a[indexIn(o.a, i)] = ofKind(v, o.kind);
  else throw fail('PropertyAccessException', classOf(o) + ' has no elements');
  return v;
}
function callMethod(o, name, args) {
  if (o === null) throw fail('NullPointerException', 'null has no method ' + name + '()');
  var method = o instanceof TClass ? own(o.statics, name) : own(methodsOf(o), name) || own(objectMethods, name);
  if (typeof method !== 'function') {
    if (o instanceof TMap && typeof mapGet(o, name) === 'function') return mapGet(o, name).apply(null, args);
    throw fail('PropertyAccessException', 'unable to resolve method: ' + (o instanceof TClass ? o.name : classOf(o)) + '.' + name +
               '(' + args.map(classOf).join(', ') + ') [arglength=' + args.length + ']');
  }
  var made = o instanceof TClass ? method.apply(null, args) : method(o, ...args);
  return made === undefined ? null : made;
}
function safeCall(o, name, args) { return o === null ? null : callMethod(o, name, args); }
