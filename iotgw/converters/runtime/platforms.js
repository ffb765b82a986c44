// Dialects whose scripts are functions or bodies on what a platform gives them: TagoIO, ThingsBoard's and Node-RED's
// nodes, AllThingsTalk; loaded for scripts that name what is theirs.

// --- TagoIO: a script reads and sets the list `payload` ---

function tagoText(payload, metadata) {
  if (metadata.fPort !== undefined || metadata.port !== undefined || metadata.devEui || metadata.devEUI) return null;
  for (var i = 0; i < payload.length; i++) {
    if (payload[i] < 32 && payload[i] !== 9 && payload[i] !== 10 && payload[i] !== 13 || payload[i] === 127) return null;
  }
  var text = utf8Decode(payload);
  return payload.length && (latin1(payload) !== text || !isHigh(HIGH, text)) ? text : null;
}

// What a network's or a broker's parser hands on to a device's, or what a device has sent in TagoIO's own format.
function tagoItems(payload, metadata, received) {
  var own = documentOf(payload), text = tagoText(payload, metadata), items = [], group = '' + received;
  if (isArray(own) && own.length && own.every(function (one) { return isObject(one) && typeof one.variable === 'string'; })) {
    return {items: own, given: []};
  }
  function item(name, value) {
    push(items, {variable: name, value: value, group: group, serie: group, time: new NewDate(received),
                 metadata: metadata.topic === undefined ? {} : {mqtt_topic: metadata.topic}});
  }
  item('payload', text === null ? hexOf(payload) : text);
  if (metadata.fPort !== undefined || metadata.port !== undefined) {
    ['fport', 'port', 'fPort'].forEach(function (name) { item(name, portOf(metadata)); });
  }
  return {items: items, given: listSlice(items)};
}
function tagoPairs(values) {
  return keys(values).map(function (key) { return {key: key, value: values[key], sent: false}; });
}

adapters.tago = function (fn) {
  return function (payload, metadata, received) {
    var before = tagoItems(payload, metadata, received), params = tagoPairs(variablesOf(metadata));
    var device = {id: metadata.devEui || metadata.identity || '', name: metadata.deviceName || '', params: params, tags: []};
    var made = fn(before.items, device, listSlice(before.items));
    if (made === undefined || made === null) return null;
    made = (isArray(made) ? made : [made]).filter(function (one) {
      return !before.given.some(function (was) { return one === was || isObject(one) && one.variable === was.variable && one.value === was.value; });
    }).map(function (one) {
      // the time that it was given is that of reception, whatever else the script says
      return isObject(one) && one.time instanceof NewDate && one.time.getTime() === received ? timeless(one) : one;
    });
    return made.length ? made : null;
  };
};
function timeless(item) {
  var copy = {};
  for (var names = keys(item), i = 0; i < names.length; i++) if (names[i] !== 'time') copy[names[i]] = item[names[i]];
  return copy;
}

// --- ThingsBoard's rule nodes: {msg, metadata, msgType} in and out ---

adapters['rule-node'] = function (fn) {
  return function (payload, metadata, received) {
    var msg = documentOf(payload), facts = {};
    if (msg === null) msg = {data: hexOf(payload), payload: hexOf(payload), fPort: portOf(metadata)};
    for (var names = keys(metadata), i = 0; i < names.length; i++) facts[names[i]] = metadata[names[i]];
    if (facts.ts === undefined) facts.ts = '' + received;
    var made = fn(msg, facts, 'POST_TELEMETRY_REQUEST');
    if (made === undefined || made === null) return null;
    return (isArray(made) ? made : [made]).map(function (one) {
      if (!isObject(one) || one.msg === undefined) throw new TypeError('expected {msg, metadata, msgType}, got no `msg`');
      var values = typeof one.msg === 'string' ? parse(one.msg) : one.msg, ts = Number((one.metadata || {}).ts);
      return [values, ts && ts !== received ? ts : null];
    });
  };
};

// --- Node-RED's function nodes: a message, or a list of them for each output ---

function memory() {
  var kept = {};
  return {get: function (key) { return kept[key]; }, set: function (key, value) { kept[key] = value; }, keys: function () { return keys(kept); }};
}
adapters['node-red'] = function (fn) {
  return function (payload, metadata, received) {
    var own = documentOf(payload), sent = [], made = [];
    if (own === null) own = typeof globalThis.Buffer === 'function' ? globalThis.Buffer.from(payload) : payload;
    var node = {log: log, warn: log, error: log, debug: log, trace: log, status: function () {}, done: function () {},
                send: function (msg) { push(sent, msg); }, id: '', name: ''};
    var variables = variablesOf(metadata), context = memory();
    context.flow = memory();
    context.global = memory();
    push(sent, fn({payload: own, topic: metadata.topic, metadata: metadata}, node, context, context.flow, context.global,
                  {get: function (name) { return variables[name]; }}));
    (function gather(list) {
      for (var i = 0; i < list.length; i++) {
        if (isArray(list[i])) gather(list[i]);
        else if (isObject(list[i]) && list[i].payload !== undefined && list[i].payload !== null) push(made, [list[i].payload, null]);
      }
    })(sent);
    return made.length ? made : null;
  };
};

// --- AllThingsTalk: hex in, the JSON text of {asset: {value}} out, and back ---

adapters.allthingstalk = function (fn) {
  return function (payload) { return fn(hexOf(payload)); };
};
adapters['allthingstalk-encoder'] = function (fn) {
  return function (message) {
    var assets = {}, wanted = message[0];
    for (var names = keys(wanted || {}), i = 0; i < names.length; i++) {
      var value = wanted[names[i]];
      assets[names[i]] = isObject(value) && 'value' in value ? value : {value: value};
    }
    var made = fn(stringify(assets)), meta;
    if (typeof made === 'string') made = parse(made);
    if (!isObject(made) || typeof made.data !== 'string') throw new TypeError('expected {data, meta} with `data` in hex');
    meta = made.meta || {};
    return {bytes: bytesIn(made.data), fPort: meta.port, confirmed: meta.confirmed};
  };
};

// --- Tektelic: a converter's body on `data`, whose result has the bytes by their port ---

adapters['tektelic-encoder'] = function (fn) {
  return function (message) {
    var made = fn(message[0]), ports = isObject(made) ? keys(made) : [];
    if (made && made.error) throw new Error('' + made.error);
    if (ports.length !== 1) throw new TypeError('expected the bytes of one port, got those of ' + ports.length + ': ' + joined(ports, ', '));
    return {bytes: listed(made[ports[0]]), fPort: Number(ports[0])};
  };
};
