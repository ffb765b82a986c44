// Runs scripts as their platforms do, in node: one JSON case a line in, one JSON answer a line out. Every case has a
// context of its own. `typescript` is taken from NODE_PATH where it is installed.
'use strict';
const vm = require('vm'), path = require('path');
let typescript = null;
try { typescript = require('typescript'); } catch (missing) { /* scripts that need it are left out */ }

const bits = {
  hexToBits: (hex) => [...hex.toLowerCase()].map((c) => parseInt(c, 16).toString(2).padStart(4, '0')).join(''),
  bitsToUnsigned: (text) => parseInt(text, 2),
  bitsToSigned: (text) => Number(BigInt.asIntN(text.length, BigInt(parseInt(text, 2)))),
  base64ToBits: (text) => bits.hexToBits(Buffer.from(text, 'base64').toString('hex')),
  base64ToBytes: (text) => [...Buffer.from(text, 'base64')],
  bytesToHex: (bytes) => Buffer.from(bytes).toString('hex')
};
const hexes = {
  hexToBytes: (hex) => hex.match(/.{1,2}/g).map((pair) => parseInt(pair, 16)),
  bytesToHex: bits.bytesToHex,
  hexLittleEndianToBigEndian: (hex, signed = true) => {
    const bytes = hex.match(/../g).reverse().join('');
    return (signed ? bits.bitsToSigned : bits.bitsToUnsigned)(bits.hexToBits(bytes));
  }
};

function plain(text) {
  try { new vm.Script('(function () {' + text + '\n})'); return text; } catch (error) {
    if (!typescript) throw error;
    const options = {target: 99, module: 1, esModuleInterop: true};
    return typescript.transpileModule(text, {compilerOptions: options, fileName: 'x.ts'}).outputText;
  }
}

function globals(given) {
  const silent = () => {};
  const console = {log: silent, info: silent, warn: silent, error: silent, debug: silent};
  return {Buffer, TextDecoder, TextEncoder, atob, btoa, console, ...given};
}

function requirer(files, context) {
  const loaded = {};
  return function make(folder) {
    return function (name) {
      if (!name.startsWith('.')) return require(name);
      const place = path.posix.normalize('/' + folder + '/' + name).slice(1);
      for (const ending of ['', '.js', '.ts', '.json', '/index.js']) {
        const file = place + ending;
        if (loaded[file]) return loaded[file].exports;
        if (!(file in files)) continue;
        const module = loaded[file] = {exports: {}};
        if (file.endsWith('.json')) module.exports = JSON.parse(files[file]);
        else {
          vm.runInContext('(function (module, exports, require) {' + plain(files[file]) + '\n})', context)(
            module, module.exports, make(path.posix.dirname(file)));
        }
        return module.exports;
      }
      throw new Error('no module ' + name);
    };
  }('');
}

// Values of the context's own realm, for scripts that look at prototypes
let inside = (value) => value, dated = (ms) => new Date(ms);
const NAMES = ['consume', 'decodeUplink', 'driver', 'Decode', 'Parse', 'Decoder', 'decentlab_decoder', 'decodePayload', 'CellularDecoder', 'converter', 'encodeDownlink', 'Encode', 'Encoder'];

function loaded(one, text, given) {
  const context = vm.createContext(globals(given));
  const module = {exports: {}};
  Object.assign(context, {module, exports: module.exports, require: requirer(one.files, context)});
  const picks = NAMES.map((name) => `${name}: typeof ${name} !== 'undefined' ? ${name} : undefined`).join(', ');
  vm.runInContext('try { delete globalThis.process } catch (e) {}', context);
  vm.runInContext(text, context, {timeout: 2000});  // at global scope, so that a script finds its functions at `this`
  const found = vm.runInContext('({' + picks + '})', context);
  inside = (value) => vm.runInContext('(JSON).parse', context)(JSON.stringify(value));
  dated = (ms) => vm.runInContext('(ms) => new Date(ms)', context)(ms);
  for (const from of [module.exports, module.exports && module.exports.default]) {
    for (const name of NAMES) if (found[name] === undefined && from && from[name] !== undefined) found[name] = from[name];
  }
  if (typeof module.exports === 'function') found.module = module.exports;
  if (module.exports && typeof module.exports.default === 'function') found.module = module.exports.default;
  return found;
}

function isBody(text) {
  try { new vm.Script(text); return false; } catch (error) { return /Illegal return/.test(error.message); }
}

// Node-RED's function node: a message in, a message or lists of them out, or sent meanwhile
function nodeRed(text, one) {
  const bytes = Buffer.from(one.payload, 'hex'), sent = [], silent = () => {};
  let payload = bytes;
  try { const told = JSON.parse(bytes.toString()); if (told && typeof told === 'object') payload = told; } catch (none) { /* bytes, then */ }
  const kept = {}, memory = {get: (key) => kept[key], set: (key, value) => { kept[key] = value; }, keys: () => Object.keys(kept)};
  const node = {log: silent, warn: silent, error: silent, debug: silent, trace: silent, status: silent, done: silent, send: (msg) => sent.push(msg)};
  const fn = vm.runInContext('(function (msg, node, context, flow, global, env) {' + text + '\n})', vm.createContext(globals({})), {timeout: 2000});
  sent.push(fn({payload, metadata: one.metadata}, node, {...memory, flow: memory, global: memory}, memory, memory, {get: silent}));
  return sent.flat(Infinity).filter((msg) => msg && msg.payload !== undefined && msg.payload !== null).map((msg) => [msg.payload, null]);
}

function run(one) {
  const payload = [...Buffer.from(one.payload, 'hex')], port = one.metadata.fPort, hex = one.payload, text = plain(one.script);
  const input = {bytes: payload, fPort: port, recvTime: new Date(one.received), variables: {}}, meta = one.metadata;
  const body = isBody(text);
  const call = (names, values) => vm.runInContext('(function (' + names + ') {' + text + '\n})', vm.createContext(globals({})), {timeout: 2000})(...values);
  if (body && one.direction === 'UPLINK') {
    if (/(?<![\w$.])msg\s*\.\s*payload\b/.test(text) && !/(?<![\w$.])(?:msgType|metadata)(?![\w$]|\s*:)/.test(text)) return ['node-red', nodeRed(text, one)];
    const reads = (name) => new RegExp('(?<![\\w$.])' + name + '(?![\\w$]|\\s*:)').test(text);
    if (reads('payload')) return ['thingsboard-body', call('payload, metadata', [payload, meta])];
    if (reads('msg')) {
      const made = call('msg, metadata, msgType', [{data: hex, payload: hex, fPort: port}, {...meta, ts: '' + one.received}, 'POST_TELEMETRY_REQUEST']);
      const dated = (ts) => ts && ts !== one.received ? ts : null;
      return ['rule-node', [].concat(made).map((x) => [typeof x.msg === 'string' ? JSON.parse(x.msg) : x.msg, dated(Number((x.metadata || {}).ts))])];
    }
    if (/\binput\s*\.\s*(?:bytes|fPort)\b/.test(text) && !/\b(?:var|let|const)\s+input\s*=/.test(text)) return ['tektelic-v2', call('input', [input])];
    if (reads('bytes')) return ['tektelic', call('bytes, port', [payload, port])];
    return ['tektelic-v2', call('input', [input])];
  }
  const tago = function () {
    const time = new Date(one.received), group = '' + one.received;
    const items = [['payload', hex], ['fport', port], ['port', port], ['fPort', port]].map(([variable, value]) => ({variable, value, group, serie: group, time, metadata: {}}));
    const context = vm.createContext(globals({payload: [...items], device: {id: meta.devEui, name: '', params: [], tags: []}, raw_payload: items}));
    vm.runInContext(text, context, {timeout: 2000});
    const made = [].concat(context.payload).filter((x) => !items.some((was) => x === was || x && x.variable === was.variable && x.value === was.value));
    return ['tago', made.map((x) => x && x.time && +new Date(x.time) === one.received ? {...x, time: undefined} : x)];
  };
  const hasVariables = one.direction === 'UPLINK' && /\bvariable\b/.test(text) && !/\bfunction decodeUplink\b/.test(text);
  if (hasVariables && /(?<![\w$.])payload\s*(?:=[^=]|\.)/.test(text) && !/\b(?:let|const|var)\s+payload\s*=/.test(text)) return tago();
  const emitted = [];
  const emit = (type, value) => { if (type !== 'log' && type !== 'state') emitted.push([type, JSON.parse(JSON.stringify(value))]); };
  let found;
  try { found = loaded(one, text, {emit, Bits: bits, Hex: hexes}); } catch (error) {
    if (hasVariables && /^(?:payload|device|raw_payload) is not defined/.test(error.message)) return tago();
    throw error;
  }
  if (one.direction === 'DOWNLINK') {
    const encode = found.encodeDownlink ? (input) => found.encodeDownlink(input) : found.driver && found.driver.encodeDownlink ? (input) => found.driver.encodeDownlink(input) : null;
    if (!found.consume && encode) {
      const made = encode({data: inside(one.data), fPort: meta.fPort === undefined ? 1 : meta.fPort, variables: {}});
      if (made.errors && made.errors.length) throw new Error(String(made.errors));
      return [found.encodeDownlink ? 'ts013' : 'driver', {bytes: [...made.bytes], fPort: made.fPort}];
    }
    if (!found.consume) return ['', undefined];
    found.consume({type: 'downlink', ...one.data});
    const last = emitted.filter(([type]) => type === 'downlink').pop();
    if (!last) throw new Error('nothing was emitted');
    return ['akenza', {bytes: [...Buffer.from(last[1].payloadHex || '', 'hex')], fPort: last[1].port, confirmed: last[1].confirmed}];
  }
  if (found.consume) {
    found.consume({type: 'uplink', data: {port, payloadHex: hex}, device: {deviceId: meta.devEui, name: '', customFields: {}, tags: []}, state: {}, uplinkMetrics: meta, timestamp: new Date(one.received)});
    return ['akenza', emitted];
  }
  const own = inside({bytes: payload, fPort: port, variables: {}}), bytes = inside(payload), facts = inside(meta);
  own.recvTime = dated(one.received);
  // functions of the script are called as such, not as methods of what they are found in
  const plainly = (fn) => (...values) => Reflect.apply(fn, undefined, values);
  if (found.decodeUplink) return ['ts013', plainly(found.decodeUplink)(own)];
  if (found.driver && found.driver.decodeUplink) return ['driver', found.driver.decodeUplink(own)];
  if (found.Decode) return ['chirpstack-v3', plainly(found.Decode)(port, bytes, {})];
  if (found.Parse) return ['', undefined];
  if (found.Decoder) {
    const parameters = /\(([^)]*)\)/.exec(found.Decoder.toString())[1].split(',');
    if (/b(ase)?64/i.test(parameters[1] || '')) return ['datacake', plainly(found.Decoder)(bytes, bytes)];
    if (/port/i.test(parameters[1] || '') || parameters.length === 1) return ['ttn-v2', plainly(found.Decoder)(bytes, port)];
    return ['thingsboard', plainly(found.Decoder)(bytes, facts)];
  }
  if (found.decentlab_decoder) return ['decentlab', found.decentlab_decoder.decode(bytes)];
  if (found.decodePayload) return ['milesight', found.decodePayload(bytes)];
  if (found.CellularDecoder) return ['milesight-cellular', found.CellularDecoder(bytes)];
  if (found.converter) return ['allthingstalk', found.converter(hex)];
  if (found.module) return ['module', found.module(hex, meta)];
  return ['', undefined];
}

require('readline').createInterface({input: process.stdin}).on('line', (line) => {
  let answer;
  try {
    const go = () => run(JSON.parse(line));
    const [form, result] = vm.runInContext('go()', vm.createContext({go}), {timeout: 5000});  // a script may be endless
    answer = {form, result};
  } catch (error) {
    answer = {error: String(error && error.message || error).slice(0, 300)};
  }
  let json;
  try { json = JSON.stringify(answer, (key, value) => typeof value === 'bigint' ? Number(value) : value); } catch (error) { json = JSON.stringify({error: String(error)}); }
  process.stdout.write(json + '\n');
});
