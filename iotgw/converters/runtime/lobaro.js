// The host functions of Lobaro's platform (its documentation, "Parser"); loaded for scripts that name one of them.

// --- numbers out of byte arrays ---

function view(bytes, offset, size) {
  var from = offset === undefined ? 0 : offset;
  if (bytes.length - from < size) {
    throw new RangeError('expected ' + size + ' bytes at ' + from + ', got ' + (bytes.length - from));
  }
  var data = new DataView(new ArrayBuffer(size));
  for (var i = 0; i < size; i++) data.setUint8(i, bytes[from + i] & 255);
  return data;
}
give('uint16BE', function (bytes, offset) { return view(bytes, offset, 2).getUint16(0, false); });
give('uint16LE', function (bytes, offset) { return view(bytes, offset, 2).getUint16(0, true); });
give('uint32BE', function (bytes, offset) { return view(bytes, offset, 4).getUint32(0, false); });
give('uint32LE', function (bytes, offset) { return view(bytes, offset, 4).getUint32(0, true); });
give('float32BE', function (bytes, offset) { return view(bytes, offset, 4).getFloat32(0, false); });
give('float32LE', function (bytes, offset) { return view(bytes, offset, 4).getFloat32(0, true); });

// --- what Lobaro's parsers know of their device, and keep between messages ---

var device = {name: '', address: '', serial: '', tags: []};
function setDevice(metadata) {
  var own = device;
  own.name = metadata.deviceName || '';
  own.address = metadata.devEui || metadata.devEUI || metadata.imei || metadata.identity || '';
  own.serial = metadata.serial || '';
  own.tags = metadata.tags || [];
}

function stateOf(part) {
  if (!call.state) {
    throw new Error('this converter keeps no state: set its option "state" to true');
  }
  if (!call.state[part]) call.state[part] = {};
  return call.state[part];
}
function getter(part) {
  return function (key) {
    var kept = stateOf(part)[key];
    return kept === undefined ? null : kept;
  };
}
function setter(part) {
  return function (key, value) {
    var kept = stateOf(part);
    if (value === undefined || value === null) delete kept[key];
    else kept[key] = value;
    call.changed = true;
  };
}
give('Device', {
  get name() { return device.name; }, get address() { return device.address; },
  get serial() { return device.serial; }, get tags() { return device.tags; },
  getProperty: getter('properties'), setProperty: setter('properties'),
  getConfig: getter('config'), setConfig: setter('config'),
  setLocation: function (longitude, latitude) {
    setter('properties')('location', {longitude: longitude, latitude: latitude});
  }
});

freeze(ownProperty(globalThis.Device, 'tags').get);  // `seal` looks for the getters of texts only

function partKey(key) { return key === undefined ? '' : '' + key; }
function partsOf(key) {
  var held = stateOf('partial')[partKey(key)];
  // what was not completed within a day never will be
  return held && call.received - held.t < 86400000 ? decodeBase64(held.b) : [];
}
function join(bytes, key) {
  var all = partsOf(key).concat([].slice.call(bytes));
  setter('partial')(partKey(key), {t: call.received, b: encodeBase64(all)});
  return all;
}
function clear(key) {
  var all = partsOf(key);
  setter('partial')(partKey(key), null);
  return all;
}
give('Parser', {
  // bytes gathered under a key over several messages; all of them so far come back
  joinPartial: join,
  clearPartial: clear,
  // (bytes, key) starts anew with these; (key) alone with nothing
  newPartial: function (bytes, key) {
    if (typeof bytes !== 'object') { clear(bytes); return []; }
    clear(key);
    return join(bytes, key);
  },
  parseWmbus: function () { throw new Error('Parser.parseWmbus is not available here'); }
});
function toMs(value, unit) {
  if (value instanceof NewDate) return value.getTime();
  if (typeof value === 'string' && unit !== 'UNIXMS' && unit !== 'UNIXS') return NewDate.parse(value);
  return unit === 'UNIXS' ? Number(value) * 1000 : Number(value);
}
give('Record', {
  getReceivedAt: function () { return call.received; },
  setTime: function (value) { call.time = toMs(value); },
  setTimeField: function (path, unit) { call.time = [path, unit || 'UNIXMS']; }
});
