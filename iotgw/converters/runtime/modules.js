// `require`, for scripts that name it: the converter's other files, and the host's modules.
var hostModules = {};

function ownModules() {
  hostModules.buffer = {Buffer: globalThis.Buffer};
  hostModules.util = {
    TextDecoder: globalThis.TextDecoder, TextEncoder: globalThis.TextEncoder, isArray: isArray,
    inspect: function (value) { return stringify(value); }
  };
  hostModules.assert = assertModule();
}
function assertModule() {
  function assert(value, message) { if (!value) throw new Error(message || 'assertion failed'); }
  assert.ok = assert;
  assert.equal = function (a, b, message) { assert(a == b, message || stringify(a) + ' == ' + stringify(b)); };
  assert.strictEqual = function (a, b, message) { assert(a === b, message || stringify(a) + ' === ' + stringify(b)); };
  return assert;
}
// Nobody can change what the host has made; the built-ins among it are frozen with all the others.
function freezeHostModules() {
  keys(hostModules).forEach(function (name) {
    var made = hostModules[name];
    keys(made).forEach(function (part) {
      if (typeof made[part] !== 'function' || hasOwn(globalThis, part)) return;
      if (made[part].prototype) freeze(made[part].prototype);
      freeze(made[part]);
    });
    freeze(made);
  });
}

// The path of a module as seen from a file.
function resolved(from, name) {
  var parts = from.split('/').slice(0, -1), steps = name.split('/');
  for (var i = 0; i < steps.length; i++) {
    if (steps[i] === '..') parts.pop();  // above the script's own folder is its folder
    else if (steps[i] !== '.' && steps[i] !== '') parts.push(steps[i]);
  }
  return parts.join('/');
}
var ENDINGS = ['', '.js', '.ts', '.mjs', '.cjs', '.mts', '.cts', '.json', '/index.js', '/index.ts'];

// By their first names; codecs are loaded for scripts that name them.
var HOST_MODULES = ['assert', 'buffer', 'cayenne-lpp', 'cbor', 'crypto', 'msgpack', 'util'];

// Of node's own modules those that reach out of a script; nothing stands for them.
var OUTWARD = ['child_process', 'cluster', 'dgram', 'dns', 'fs', 'http', 'http2', 'https', 'net', 'os', 'process', 'readline', 'tls', 'vm', 'worker_threads'];

// What to do instead, by the module's kind.
function advice(name) {
  var first = name.split('/')[0];
  if (OUTWARD.indexOf(first) >= 0) return 'a converter reaches no files, network or processes, so take out what needs it (often a test at the end of the script)';
  if (/^@?aws-sdk/.test(name)) return 'this is a function for AWS, so take the decoder in it alone';
  return "add it to the converter's files" + (/^\./.test(name) ? '' : ', in one file (' + stringify(name + '.js') + ') that needs no other');
}
function missing(name, files) {
  var known = keys(files).concat(HOST_MODULES);
  var error = new Error("there is no module '" + name + "': " + advice(name) + '. There are ' + known.join(', '));
  error.code = 'MODULE_NOT_FOUND';
  return error;
}

// What makes a `require` for each time that the script is run: its modules begin anew with it.
function librarian(spec) {
  var files = {}, compiledFiles = {};
  ownModules();
  freezeHostModules();
  (spec.files || []).forEach(function (file) { files[file.name] = file; });
  function scopeOf(file) {
    if (!compiledFiles[file.name]) {
      compiledFiles[file.name] = compiled({undeclared: file.undeclared, anew: spec.anew, reachesItself: file.reachesItself, above: file.above},
                                          'module,exports,require', file.source);
    }
    return compiledFiles[file.name]();
  }
  return function () {
    var loaded = {};
    function requirer(from) {
      function require(wanted) {
        var name = ('' + wanted).replace(/^node:/, '');
        var isOther = !/^\.\.?(?:\/|$)/.test(name);
        if (isOther && !hasOwn(files, name) && hasOwn(hostModules, name)) return hostModules[name];
        var path = isOther ? name : resolved(from, name);
        for (var i = 0; i <= ENDINGS.length; i++) {
          // TypeScript names what a file will be: './bits.js' for bits.ts
          var place = i < ENDINGS.length ? path + ENDINGS[i] : path.replace(/\.([cm]?)js$/, '.$1ts');
          if (hasOwn(loaded, place)) return loaded[place].exports;
          if (!hasOwn(files, place)) continue;
          var file = files[place], module = loaded[place] = {exports: {}, id: place, filename: place, loaded: false};
          if (/\.json$/.test(place)) module.exports = parse(file.source);
          else apply(scopeOf(file), module.exports, [module, module.exports, requirer(place)]);
          module.loaded = true;
          return module.exports;
        }
        throw missing(name, files);
      }
      return require;
    }
    return requirer('main.js');
  };
}
