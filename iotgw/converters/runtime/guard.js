// The only way into and out of a script: JSON text in, JSON text out, nothing ever thrown.
//
// What comes back is one of
//   {…} or […] or any JSON value     the result, and nothing else happened
//   ~                                undefined or null: the message is filtered
//   +{"logs":[…],"state":{…}}\n…     as above, with what else happened
//   !{"name","message","stack","logs"}   the script threw
//   ?                                this context is spent: an earlier message has changed what can't be put right
//
// Duktape's Python binding aborts the process when an exception that it can't read leaves a call
// (`throw null`, a throwing getter), and leaks a stack slot for every other: so none leaves.
// Built-ins are captured before the script can change them.
var parse = JSON.parse, stringify = JSON.stringify;
var uncurry = Function.prototype.bind.bind(Function.prototype.call);
var slice = uncurry(String.prototype.slice), replace = uncurry(String.prototype.replace);
var charCodeAt = uncurry(String.prototype.charCodeAt), push = uncurry(Array.prototype.push);
var apply = uncurry(Function.prototype.apply), joined = uncurry(Array.prototype.join), listSlice = uncurry(Array.prototype.slice);
var fromCharCode = String.fromCharCode, NewFunction = Function, NewDate = Date;
var defineProperty = Object.defineProperty, keys = Object.keys, isArray = Array.isArray;

var OwnPromise = typeof Promise === 'undefined' ? null : Promise;

var RESULT_LIMIT = 1 << 20;  // characters of a result's JSON
var LOG_LINES = 50, LOG_CHARS = 2000;
var UNREADABLE = '!{"name":"Error","message":"the script threw something that can\'t be read","stack":""}';

var logs = [], logsCut = false;
var invoke = null;    // set by `load`: (payload, metadata, received_ms, …) -> result
var last = '~';
var call = {state: null, changed: false, received: 0, time: 0};   // what host functions know of this call

function text(value, limit) {
  var made = typeof value === 'string' ? value : '' + value;
  return made.length > limit ? slice(made, 0, limit) + '…' : made;
}

// QuickJS keeps long sums of strings as trees, which its Python binding does not know.
function flat(string) { return slice(string, 0); }

function read(error) {
  var seen = {name: 'Error', message: '', stack: ''};
  try {
    if (error !== null && (typeof error === 'object' || typeof error === 'function')) {
      seen.name = text(error.name === undefined ? 'Error' : error.name, 100);
      if (error.message === undefined) {
        var json;
        try { json = stringify(error); } catch (ignored) { json = undefined; }
        seen.message = text(json === undefined ? error : json, 2000);
      } else {
        seen.message = text(error.message, 2000);
      }
      seen.stack = text(error.stack === undefined ? '' : error.stack, 4000);
    } else {
      seen.message = text(error === undefined || error === null ? 'threw ' + error : error, 2000);
    }
  } catch (unreadable) {
    seen.message = seen.message || 'the script threw something that can\'t be read';
  }
  return seen;
}

function describe(error) {
  var seen = read(error);
  if (logs.length) seen.logs = logs;
  return flat('!' + stringify(seen));
}

function refuse(message, stack) {
  return flat('!' + stringify({name: 'ResultError', message: message, stack: stack || '', logs: logs}));
}

function plain(result) {
  try {
    return stringify(result);
  } catch (error) {
    // BigInt has no JSON; a number is what was meant
    if (typeof BigInt === 'undefined') throw error;
    return stringify(result, function (key, value) { return typeof value === 'bigint' ? Number(value) : value; });
  }
}

// A result that is JSON already
function Ready(json) { this.json = json; }

function finish(result) {
  var json = '~';
  if (result instanceof Ready) {
    json = result.json === 'null' ? '~' : flat(result.json);
    if (json.length > RESULT_LIMIT) return refuse('expected at most ' + RESULT_LIMIT + ' characters of JSON, got ' + json.length);
  } else if (result !== undefined && result !== null) {
    if (OwnPromise && result instanceof OwnPromise) return refuse('expected a value, got a promise: nothing waits for it');
    try {
      json = plain(result);
    } catch (error) {
      var seen = read(error);
      return refuse('the result can\'t be made JSON: ' + seen.message, seen.stack);
    }
    if (typeof json !== 'string') return refuse('expected an object or a list, got a ' + typeof result);
    if (json.length > RESULT_LIMIT) {
      return refuse('expected at most ' + RESULT_LIMIT + ' characters of JSON, got ' + json.length);
    }
  }
  if (!logs.length && !call.changed && !call.time) return json;
  var also = {};
  if (logs.length) also.logs = logs;
  if (call.changed) also.state = call.state;
  if (call.time) also.time = call.time;
  return flat('+' + plain(also) + '\n' + json);
}

function begin(received, state) {
  if (logs.length) logs = [];
  logsCut = false;
  call.received = received;
  call.state = state;
  call.changed = false;
  call.time = 0;
}

// [payload bytes, metadata, received_ms / 1e6, received_ms % 1e6, state] -> as above. The time comes in two
// halves, since Duktape needs 3 µs to read a number of more than nine digits, as long as for all the rest.
function run(json) {
  try {
    try {
      var input = parse(json), received = input[2] * 1e6 + input[3];
      begin(received, input[4]);
      return last = finish(invoke(input[0], input[1], received));
    } catch (error) {
      return last = error === SPENT ? '?' : describe(error);
    }
  } catch (again) {
    return UNREADABLE;
  }
}

// The last answer again, in ASCII: the bindings garble what is outside the basic plane.
function ascii() {
  try {
    return replace(last, /[\u007f-\uffff]/g, function (character) {
      return '\\u' + slice('000' + charCodeAt(character, 0).toString(16), -4);
    });
  } catch (error) {
    return UNREADABLE;
  }
}

// {"shape", "parameters", "names", "source", …} -> {"names": […]} or !{…}
function load(json) {
  try {
    try {
      return last = instantiate(parse(json));
    } catch (error) {
      return last = describe(error);
    }
  } catch (again) {
    return UNREADABLE;
  }
}

// Lines of the script are told from ours in a stack by being far down.
var lines = new Array(1001).join('\n');

// Throws for a script with a brace too many: Duktape ends the function there, and drops the rest of it, with what we put behind it.
function whole(parameters, source) {
  new NewFunction('return (function (' + slice(parameters, 0, -1) + ') {\n' + source + '\n});');
}

// What gives the script as a function with these parameters. `undeclared` are names that it
// assigns without declaring them: variables of a scope around it, or they would be properties of the global object.
function compiled(spec, parameters, source) {
  var undeclared = spec.undeclared || [], far = (spec.linking ? slice(lines, 1) : lines) + (spec.above ? new Array(spec.above + 1).join('\n') : '');
  if (!undeclared.length && !(spec.anew && spec.reachesItself)) {
    var made = new NewFunction(parameters + far, source);
    whole(parameters + far, source);
    return function () { return made; };
  }
  var around = new NewFunction(joined(undeclared, ','), 'return (function (' + parameters + slice(far, 1) + ') {\n' + source + '\n});');
  var built_ins = [];
  for (var i = 0; i < undeclared.length; i++) built_ins[i] = globalThis[undeclared[i]];
  return function () { return apply(around, undefined, built_ins); };
}

// A script at the top of a program finds its functions and variables at the global object. Here they are those of a
// function, so accessors lead to the ones that it looks for there. They come and go with each message.
function linking(names) {
  var table = '';
  for (var i = 0; i < names.length; i++) {
    table += names[i] + ':{get:function(){return ' + names[i] + '},set:function($){' + names[i] + '=$},configurable:true,enumerable:true},';
  }
  return '__iotgw_link({' + table + '});\n';
}
function link(table) {
  var names = keys(table);
  for (var i = 0; i < names.length; i++) {
    try { defineProperty(globalThis, names[i], table[names[i]]); } catch (fixed) { /* undefined, NaN */ }
  }
}
Object.freeze(link.prototype);
Object.freeze(link);
function method(object, name) {
  return function () { return apply(object[name], object, arguments); };
}

// A function of an object, called as its method.
function reach(found, path) {
  var dot = path.indexOf('.'), object = found[slice(path, 0, dot)], name = slice(path, dot + 1);
  if (object === null || (typeof object !== 'object' && typeof object !== 'function') || typeof object[name] !== 'function') return undefined;
  return function () { return apply(object[name], object, arguments); };
}

// How a script is to be run (`source/analysis.py`): `anew` for each message, or only once; `sealed` among frozen built-ins.
function instantiate(spec) {
  begin(0, null);
  given = stringify(spec.variables || {});
  if (spec.sealed) seal(spec.open || [], spec.overrides || []);
  if (spec.entry !== undefined && !adapters[spec.dialect]) return refuse('expected a script that names what its dialect has');
  var isBody = spec.shape === 'body', picks = '', roots = {};
  for (var i = 0; !isBody && i < spec.names.length; i++) {
    var dot = spec.names[i].indexOf('.'), root = dot < 0 ? spec.names[i] : slice(spec.names[i], 0, dot);
    if (roots[root] === true || spec.names[i] === 'module.exports') continue;
    roots[root] = true;
    picks += root + ':typeof ' + root + (dot < 0 ? '==="function"?' : '!=="undefined"?') + root + ':void 0,';
  }
  if (spec.exposed && spec.exposed.length) spec.linking = (spec.strict ? '"use strict";' : '') + linking(spec.exposed);
  var requires = spec.needs ? librarian(spec) : null, own = requires ? 'require,' : '';
  var scope = isBody ? compiled(spec, own + spec.parameters, spec.source + (spec.returns ? '\n;return ' + spec.returns + ';' : ''))
                     : compiled(spec, own + (spec.linking ? 'module,exports,__iotgw_link' : 'module,exports'), (spec.linking || '') + spec.source + '\n;return {' + picks + '};');
  var names = [], object = spec.entry ? slice(spec.entry, 0, spec.entry.indexOf('.') + 1) : '', paths = [];
  for (var p = 0; !isBody && p < spec.names.length; p++) paths[p] = spec.names[p].indexOf('.') > 0;
  function run(module) {
    if (!requires) return spec.linking ? scope()(module, module.exports, link) : scope()(module, module.exports);
    return spec.linking ? scope()(requires(), module, module.exports, link) : scope()(requires(), module, module.exports);
  }
  function prepare() {
    if (isBody) return adapters[spec.dialect](requires ? bound(scope(), requires()) : scope());
    var module = {exports: {}}, found = run(module), exported = module.exports;
    if (exported && exported['default'] && isObject(exported['default'])) exported = defaulted(exported);
    names = [];
    for (var j = 0; j < spec.names.length; j++) {
      var name = spec.names[j];
      if (paths[j]) {
        found[name] = reach(found, name) || (isObject(exported) ? reach(exported, name) : undefined);
      } else if (typeof found[name] !== 'function' && exported && typeof exported[name] === 'function') {
        found[name] = spec.usesThis ? method(exported, name) : exported[name];
      }
      if (typeof found[name] === 'function') push(names, name);
    }
    if (typeof exported === 'function') {
      found['module.exports'] = exported;
      push(names, 'module.exports');
    }
    if (!spec.entry || typeof found[spec.entry] !== 'function') return null;
    return adapters[spec.dialect](found[spec.entry], spec.normalized ? found[object + 'normalizeUplink'] : null, found[object + 'decodeDownlink']);
  }
  invoke = prepare();
  if (spec.entry && !invoke) return refuse('expected a function ' + spec.entry);
  if (spec.anew || kept.length) {
    invoke = function (payload, metadata, received) {
      if (!restore()) throw SPENT;
      return prepare()(payload, metadata, received);
    };
  }
  return stringify({names: names, logs: logs});
}
// What a module exports, with what its default export has.
function defaulted(exported) {
  var made = {}, inner = exported['default'];
  if (typeof inner === 'function') return inner;
  [inner, exported].forEach(function (one) { keys(one).forEach(function (key) { made[key] = one[key]; }); });
  return made;
}
function bound(fn, first) {
  return function (a, b, c, d, e, f) { return fn(first, a, b, c, d, e, f); };
}

// Whether the source is a program (no `return` outside a function); compiles, runs nothing.
function program(source) {
  try {
    (0, eval)('if(0){' + lines + parse(source) + '\n}');
    return '{"program":true}';
  } catch (error) {
    return '{"program":false}';
  }
}

// Every name that the built-ins have, as JSON: globals, and what is on them and on their prototypes.
function names() {
  var globals = Object.getOwnPropertyNames(globalThis), members = {};
  function gather(object) {
    if (object === null || (typeof object !== 'object' && typeof object !== 'function')) return;
    Object.getOwnPropertyNames(object).forEach(function (name) { members[name] = 1; });
  }
  globals.forEach(function (name) {
    gather(globalThis[name]);
    if (globalThis[name]) gather(globalThis[name].prototype);
  });
  return stringify({globals: globals, members: keys(members)});
}

// Compile as the body of a function; runs nothing.
function compile(source) {
  try {
    try {
      source = parse(source);
      new NewFunction(lines, source);
      whole(lines, source);
      return last = '{}';
    } catch (error) {
      return last = describe(error);
    }
  } catch (again) {
    return UNREADABLE;
  }
}

// The loop that an instrumented script was in last (careful.py); scripts can't tell it from any other global.
var reached = '';
function mark() { return '' + reached; }
