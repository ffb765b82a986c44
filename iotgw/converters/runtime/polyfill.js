// Built-ins that vendors' decoders use and Duktape lacks. Each is added only where it is missing.
(function () {
function fill(target, name, value) {
  if (!(name in target)) {
    defineProperty(target, name, {value: value, writable: true, configurable: true, enumerable: false});
  }
}
function count(length, from) { return from < 0 ? Math.max(length + from, 0) : Math.min(from, length); }
function whole(n) { n = Number(n); return n !== n ? 0 : n < 0 ? Math.ceil(n) : Math.floor(n); }

// --- arrays, plain and typed ---
var lists = {
  includes: function (wanted, from) {
    for (var i = count(this.length, whole(from || 0)); i < this.length; i++) {
      if (this[i] === wanted || (wanted !== wanted && this[i] !== this[i])) return true;
    }
    return false;
  },
  find: function (test, self) {
    for (var i = 0; i < this.length; i++) if (test.call(self, this[i], i, this)) return this[i];
  },
  findIndex: function (test, self) {
    for (var i = 0; i < this.length; i++) if (test.call(self, this[i], i, this)) return i;
    return -1;
  },
  findLast: function (test, self) {
    for (var i = this.length - 1; i >= 0; i--) if (test.call(self, this[i], i, this)) return this[i];
  },
  findLastIndex: function (test, self) {
    for (var i = this.length - 1; i >= 0; i--) if (test.call(self, this[i], i, this)) return i;
    return -1;
  },
  fill: function (value, from, to) {
    var end = to === undefined ? this.length : count(this.length, whole(to));
    for (var i = count(this.length, whole(from || 0)); i < end; i++) this[i] = value;
    return this;
  },
  copyWithin: function (to, from, end) {
    var begin = count(this.length, whole(from || 0)), at = count(this.length, whole(to));
    var taken = [].slice.call(this, begin, end === undefined ? this.length : count(this.length, whole(end)));
    for (var i = 0; i < taken.length && at < this.length; i++) this[at++] = taken[i];
    return this;
  },
  at: function (index) { index = whole(index); return this[index < 0 ? this.length + index : index]; }
};
function flat(depth) {
  var out = [], deep = depth === undefined ? 1 : depth;
  for (var i = 0; i < this.length; i++) {
    if (isArray(this[i]) && deep > 0) push.apply(null, [out].concat(flat.call(this[i], deep - 1)));
    else if (i in this) out.push(this[i]);
  }
  return out;
}
fill(Array.prototype, 'flat', flat);
fill(Array.prototype, 'flatMap', function (fn, self) { return flat.call(this.map(fn, self), 1); });
function from(source, fn, self) {
  var out = [];
  if (source && typeof source.forEach === 'function' && source.length === undefined) {
    source.forEach(function (value, key) { out.push(source instanceof globalThis.Map ? [key, value] : value); });
  } else if (typeof source === 'string') {
    out = source.match(/[\ud800-\udbff][\udc00-\udfff]|[^]/g) || [];
  } else {
    for (var i = 0; i < (source.length >>> 0); i++) out.push(source[i]);
  }
  return fn ? out.map(fn, self) : out;
}
fill(Array, 'from', from);
fill(Array, 'of', function () { return [].slice.call(arguments); });

var typed = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array];
var borrowed = ['join', 'indexOf', 'lastIndexOf', 'forEach', 'every', 'some', 'reduce', 'reduceRight', 'reverse', 'sort'];
typed.forEach(function (Typed) {
  fill(Typed, 'from', function (source, fn, self) { return new Typed(from(source, fn, self)); });
  fill(Typed, 'of', function () { return new Typed([].slice.call(arguments)); });
  fill(Typed.prototype, 'slice', function (a, b) { return new Typed([].slice.call(this, a, b)); });
  fill(Typed.prototype, 'map', function (fn, self) { return new Typed([].map.call(this, fn, self)); });
  fill(Typed.prototype, 'filter', function (fn, self) { return new Typed([].filter.call(this, fn, self)); });
  defineProperty(Typed.prototype, 'toString', {value: Array.prototype.toString, writable: true, configurable: true});
  borrowed.forEach(function (name) { fill(Typed.prototype, name, Array.prototype[name]); });
  keys(lists).forEach(function (name) { fill(Typed.prototype, name, lists[name]); });
});
keys(lists).forEach(function (name) { fill(Array.prototype, name, lists[name]); });
// there are no iterators here: a list that can be stepped through does for `next` and for Array.from
function stepped(list) {
  var at = 0;
  return give$(list, 'next', function () { return at < list.length ? {value: list[at++], done: false} : {value: undefined, done: true}; });
}
[Array].concat(typed).forEach(function (Kind) {
  fill(Kind.prototype, 'keys', function () { return stepped([].map.call(this, function (value, i) { return i; })); });
  fill(Kind.prototype, 'values', function () { return stepped([].slice.call(this)); });
  fill(Kind.prototype, 'entries', function () { return stepped([].map.call(this, function (value, i) { return [i, value]; })); });
});

// --- objects and numbers ---
fill(Object, 'values', function (object) { return keys(object).map(function (key) { return object[key]; }); });
fill(Object, 'entries', function (object) { return keys(object).map(function (key) { return [key, object[key]]; }); });
fill(Object, 'fromEntries', function (entries) {
  var out = {};
  from(entries).forEach(function (entry) { out[entry[0]] = entry[1]; });
  return out;
});
fill(Object, 'getOwnPropertyDescriptors', function (object) {
  var out = {};
  Object.getOwnPropertyNames(object).forEach(function (name) { out[name] = Object.getOwnPropertyDescriptor(object, name); });
  return out;
});
fill(Number, 'isFinite', function (n) { return typeof n === 'number' && isFinite(n); });
fill(Number, 'isNaN', function (n) { return typeof n === 'number' && n !== n; });
fill(Number, 'isInteger', function (n) { return Number.isFinite(n) && Math.floor(n) === n; });
fill(Number, 'isSafeInteger', function (n) { return Number.isInteger(n) && Math.abs(n) <= 9007199254740991; });
fill(Number, 'parseFloat', parseFloat);
fill(Number, 'parseInt', parseInt);
fill(Number, 'EPSILON', Math.pow(2, -52));
fill(Number, 'MAX_SAFE_INTEGER', 9007199254740991);
fill(Number, 'MIN_SAFE_INTEGER', -9007199254740991);
fill(Math, 'fround', function (n) { var f = new Float32Array(1); f[0] = n; return f[0]; });
fill(Math, 'log2', function (n) { return Math.log(n) / Math.LN2; });

// --- strings and dates ---
function pad(string, length, filler) {
  var out = '', missing = length - string.length, unit = filler === undefined ? ' ' : '' + filler;
  if (unit) while (out.length < missing) out += unit;
  return missing > 0 ? out.slice(0, missing) : '';
}
fill(String.prototype, 'padStart', function (length, filler) { return pad(this, length, filler) + this; });
fill(String.prototype, 'padEnd', function (length, filler) { return this + pad(this, length, filler); });
fill(String.prototype, 'trimStart', function () { return this.replace(/^\s+/, ''); });
fill(String.prototype, 'trimEnd', function () { return this.replace(/\s+$/, ''); });
fill(String.prototype, 'trimLeft', String.prototype.trimStart);
fill(String.prototype, 'trimRight', String.prototype.trimEnd);
fill(String.prototype, 'at', function (index) {
  index = whole(index);
  return this.charAt(index < 0 ? this.length + index : index) || undefined;
});
function expanded(by, self, what, at) {
  return by.replace(/\$([$&`'])/g, function (all, sign) {
    return sign === '$' ? '$' : sign === '&' ? what : sign === '`' ? self.slice(0, at) : self.slice(at + what.length);
  });
}
fill(String.prototype, 'replaceAll', function (what, by) {
  if (what instanceof RegExp) {
    if (!what.global) throw new TypeError('replaceAll must be called with a global RegExp');
    return this.replace(what, by);
  }
  what = '' + what;
  var self = '' + this, out = '', end = 0, step = what.length || 1;
  for (var i = self.indexOf(what); i >= 0 && i <= self.length; i = i + step > self.length ? -1 : self.indexOf(what, i + step)) {
    out += self.slice(end, i) + (typeof by === 'function' ? by(what, i, self) : expanded('' + by, self, what, i));
    end = i + what.length;
  }
  return out + self.slice(end);
});
fill(String.prototype, 'endsWith', function (tail) { return this.slice(-tail.length) === tail || tail === ''; });
if (new Date(0).toUTCString() !== 'Thu, 01 Jan 1970 00:00:00 GMT') {
  // Duktape gives the ISO form; RFC 1123 is what the language says
  Date.prototype.toUTCString = Date.prototype.toGMTString = function () {
    var two = function (n) { return (n < 10 ? '0' : '') + n; };
    return ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'][this.getUTCDay()] + ', ' + two(this.getUTCDate()) + ' ' +
      ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][this.getUTCMonth()] + ' ' +
      this.getUTCFullYear() + ' ' + two(this.getUTCHours()) + ':' + two(this.getUTCMinutes()) + ':' +
      two(this.getUTCSeconds()) + ' GMT';
  };
}

// --- Map and Set: insertion order, lookup by a linear scan, enough for a decoder's tables ---
function same(a, b) { return a === b || (a !== a && b !== b); }
function Table(entries) {
  if (entries) for (var i = 0; i < entries.length; i++) this.set(entries[i][0], entries[i][1]);
}
function Bag(values) {
  if (values) for (var i = 0; i < values.length; i++) this.add(values[i]);
}
function put(self, key, value) {
  if (!self.$keys) { give$(self, '$keys', []); give$(self, '$values', []); }
  var at = place(self, key);
  if (at < 0) { self.$keys.push(key); self.$values.push(value); } else { self.$values[at] = value; }
  return self;
}
function give$(self, name, value) { return defineProperty(self, name, {value: value, writable: true, enumerable: false}); }
function place(self, key) {
  for (var i = 0; self.$keys && i < self.$keys.length; i++) if (same(self.$keys[i], key)) return i;
  return -1;
}
[Table, Bag].forEach(function (Kind) {
  Kind.prototype.has = function (key) { return place(this, key) >= 0; };
  Kind.prototype['delete'] = function (key) {
    var at = place(this, key);
    if (at >= 0) { this.$keys.splice(at, 1); this.$values.splice(at, 1); }
    return at >= 0;
  };
  Kind.prototype.clear = function () { if (this.$keys) this.$keys.length = this.$values.length = 0; };
  Kind.prototype.forEach = function (fn, self) {
    for (var i = 0; this.$keys && i < this.$keys.length; i++) fn.call(self, this.$values[i], this.$keys[i], this);
  };
  defineProperty(Kind.prototype, 'size', {get: function () { return this.$keys ? this.$keys.length : 0; }});
  Kind.prototype.keys = function () { return stepped((this.$keys || []).slice()); };
  Kind.prototype.values = function () { return stepped((this.$values || []).slice()); };
  Kind.prototype.entries = function () {
    var self = this;
    return stepped((this.$keys || []).map(function (key, i) { return [key, self.$values[i]]; }));
  };
});
Table.prototype.get = function (key) { var at = place(this, key); return at < 0 ? undefined : this.$values[at]; };
Table.prototype.set = function (key, value) { return put(this, key, value); };
Bag.prototype.add = function (value) { return put(this, value, value); };
fill(globalThis, 'Map', Table);
fill(globalThis, 'Set', Bag);
fill(globalThis, 'WeakMap', Table);
fill(globalThis, 'WeakSet', Bag);
})();
