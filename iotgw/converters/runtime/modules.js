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

function missing(name, files) {
  var known = keys(files).concat(keys(hostModules));
  var error = new Error("there is no module '" + name + "': expected one of the converter's files or of the host's modules" +
    (known.length ? ' (' + known.join(', ') + ')' : ''));
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
        if (!/^\.\.?(?:\/|$)/.test(name) && !hasOwn(files, name)) {
          if (hasOwn(hostModules, name)) return hostModules[name];
          throw missing(name, files);
        }
        var path = hasOwn(files, name) ? name : resolved(from, name);
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
        throw missing(wanted, files);
      }
      return require;
    }
    return requirer('main.js');
  };
}
