// Every message finds a script in its initial state: the built-ins are frozen, and a script that has variables of its
// own is run anew. What it means to change of the built-ins stays open, and is put right before each message.
var freeze = Object.freeze, isFrozen = Object.isFrozen, isExtensible = Object.isExtensible, protoOf = Object.getPrototypeOf, create = Object.create;
var ownNames = Object.getOwnPropertyNames, ownSymbols = Object.getOwnPropertySymbols, ownProperty = Object.getOwnPropertyDescriptor;
var is = Object.is || function (a, b) { return a === b ? a !== 0 || 1 / a === 1 / b : a !== a && b !== b; };
var hasOwn = uncurry(Object.prototype.hasOwnProperty), concatenated = uncurry(Array.prototype.concat);

var SPENT = {};      // thrown when what a message has changed can't be put right
var kept = [];       // of each open object: what it is like

function isObject(value) { return value !== null && (typeof value === 'object' || typeof value === 'function'); }

// A frozen prototype would keep objects from having a property of their own by assignment: these are the names that
// scripts do assign.
var ASSIGNED = [[Object.prototype, ['toString', 'toLocaleString', 'valueOf', 'constructor']]];
[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].forEach(function (Kind) {
  ASSIGNED[ASSIGNED.length] = [Kind.prototype, ['name', 'message']];
});
function assignable(object, name, add) {
  var value = object[name];
  function get() { return value; }
  function set(own) {
    if (!isObject(this) || this === object) return;
    defineProperty(this, name, {value: own, writable: true, enumerable: true, configurable: true});
  }
  defineProperty(object, name, {get: get, set: set, enumerable: false, configurable: true});
  add(get, true);
  add(set, true);
}

function at(path) {
  var found = globalThis;
  for (var i = 0; i < path.length && isObject(found); i++) found = found[path[i]];
  return isObject(found) ? found : null;
}

function propertiesOf(object) {
  var names = ownNames(object);
  return ownSymbols ? concatenated(names, ownSymbols(object)) : names;
}

// Leave an object open: one of its properties, or all of them where `name` is null.
function keep(object, name) {
  for (var i = 0; i < kept.length; i++) {
    if (kept[i].object !== object) continue;
    if (name === null) kept[i].open = null;
    else if (kept[i].open) push(kept[i].open, name);
    return;
  }
  push(kept, {object: object, proto: protoOf(object), open: name === null ? null : [name], count: 0, properties: []});
}
function isOpen(object, name) {
  for (var i = 0; i < kept.length; i++) if (kept[i].object === object) return !kept[i].open || has(kept[i].open, name);
  return !hasOwn(object, name);
}
function isKept(object) {
  for (var i = 0; i < kept.length; i++) if (kept[i].object === object) return true;
  return false;
}

// Remember what is open of an object, and fix the rest of it.
function fix(one) {
  var all = propertiesOf(one.object), names = [];
  one.known = create(null);
  for (var i = 0; i < all.length; i++) {
    var property = ownProperty(one.object, all[i]);
    one.known[all[i]] = true;
    if (!one.open || has(one.open, all[i])) {
      push(names, all[i]);
      push(one.properties, property);
    } else if (property.configurable) {
      defineProperty(one.object, all[i], 'value' in property ? {writable: false, configurable: false} : {configurable: false});
    }
  }
  one.count = all.length;
  one.open = names;
}

// Built-ins that no name leads to; all but the first are in modern engines only.
var HIDDEN = ['(function () {})', '(function* () {})', '(async function () {})', '(async function* () {})', '(function* () {})()',
              '(async function* () {})()', '[].values()', '"".matchAll(/x/g)', 'new Map().entries()', 'new Set().values()',
              '""[Symbol.iterator]()', '(function () { return arguments; })()'];

// What scripts assign of `names` to objects whose prototype is a built-in's: `X.prototype = Object.create(Error.prototype)`.
function derivable(names, add) {
  var globals = names.length ? ownNames(globalThis) : [];
  for (var i = 0; i < globals.length; i++) {
    var prototype = isObject(globalThis[globals[i]]) ? globalThis[globals[i]].prototype : null;
    for (var j = 0; isObject(prototype) && j < names.length; j++) {
      var property = ownProperty(prototype, names[j]);
      if (property && property.configurable && 'value' in property && !isOpen(prototype, names[j])) assignable(prototype, names[j], add);
    }
  }
}

// Freeze every built-in that can be reached, but those at the paths `open`.
function seal(open, overrides) {
  var queue = [globalThis], done = 0;
  function add(value, isHolder) {
    if (!isObject(value) || isFrozen(value) || value === globalThis || isKept(value)) return;
    freeze(value);
    // a method has no properties to look at but its name and length
    if (isHolder || typeof value !== 'function' || value.prototype !== undefined) queue[queue.length] = value;
  }
  for (var p = 0; p < open.length; p++) {
    var object = at(open[p][0]);
    if (object) keep(object, open[p][1]);
  }
  for (var i = 0; i < ASSIGNED.length; i++) {
    for (var j = 0; j < ASSIGNED[i][1].length; j++) {
      if (!isOpen(ASSIGNED[i][0], ASSIGNED[i][1][j])) assignable(ASSIGNED[i][0], ASSIGNED[i][1][j], add);
    }
  }
  derivable(overrides, add);
  for (var o = 0; o < kept.length; o++) queue[queue.length] = kept[o].object;
  for (var h = 0; h < HIDDEN.length && (h === 0 || hasOwn(Array.prototype, 'values')); h++) {
    try { add((0, eval)(HIDDEN[h])); } catch (unknown) { /* not in this engine */ }
  }
  while (done < queue.length) {
    var holder = queue[done++], names = ownNames(holder);
    add(protoOf(holder));
    for (var n = 0; n < names.length; n++) {
      var value = null;
      try { value = holder[names[n]]; } catch (getter) { /* of an instance */ }
      if (isObject(value)) add(value, holder === globalThis);
      else if (typeof value !== 'number' && typeof value !== 'boolean' && !(names[n] === 'name' && typeof holder === 'function')) {
        accessors(ownProperty(holder, names[n]));  // it may be a getter that gives a text, or nothing
      }
    }
    var symbols = ownSymbols ? ownSymbols(holder) : [];
    for (var s = 0; s < symbols.length; s++) accessors(ownProperty(holder, symbols[s]));
  }
  function accessors(property) {
    add(property.get);
    add(property.set);
    add(property.value);
  }
  for (var x = 0; x < kept.length; x++) fix(kept[x]);
  if (!isKept(globalThis)) freeze(globalThis);
}

function isSame(a, b) {
  return a !== undefined && is(a.value, b.value) && a.get === b.get && a.set === b.set && a.writable === b.writable &&
    a.enumerable === b.enumerable && a.configurable === b.configurable;
}

function has(list, value) {
  for (var i = 0; i < list.length; i++) if (list[i] === value) return true;
  return false;
}

// Put the open objects right; whether that could be done.
function restore() {
  try {
    for (var i = 0; i < kept.length; i++) {
      var was = kept[i], object = was.object, names = propertiesOf(object);
      if (!isExtensible(object) || protoOf(object) !== was.proto) return false;
      var isChanged = names.length !== was.count;
      for (var j = 0; j < was.open.length; j++) {
        if (isSame(ownProperty(object, was.open[j]), was.properties[j])) continue;
        defineProperty(object, was.open[j], was.properties[j]);
        isChanged = true;
      }
      if (!isChanged) continue;
      for (var k = 0; k < names.length; k++) if (!was.known[names[k]]) delete object[names[k]];
    }
    return true;
  } catch (fixed) {
    return false;
  }
}
