// Any Dragino node: JSON frames by their own names; of binary frames the header, and the rest as hex text.
// Dragino's JSON is often none ("1":{1,4,0,2023/11/15 07:54:30}), so it is read by pattern.
// What the numbers of its history mean depends on the model and its mode. Those of SN50v3-CB are named as its public
// firmware writes them; others keep their text.
function Decoder(payload, metadata) {
    var values = { batteryVolts: metadata.batteryVolts, csq: metadata.csq, rssi: metadata.rssiDbm };
    var model = metadata.deviceModel, ts, history, now = metadata.receivedTime || Date.now();
    if (metadata.generation === 'JSON') {
        model = (model || '').replace(/ ?JSON$/, '') || undefined;
        fields(text(payload), values);
        history = records(text(payload), now, /^SN50V3-C[BS]$/i.test(model || '') ? RECORDS[values.mod] : undefined);
        if (history.undated.length) {
            values.undatedRecords = history.undated.length;
            values.records = history.undated.join(' ').slice(0, 4000);
        }
        ts = time(values, now);
        position(values);
    } else {
        values.data = hex(payload, metadata.dataOffset);
    }
    return {
        deviceName: metadata.imei || metadata.deviceId,
        deviceType: model || 'Dragino',
        attributes: {
            vendor: 'Dragino',
            model: model,
            generation: metadata.generation,
            firmware: metadata.firmware,
            modelCode: metadata.deviceModelSource === 'unknown' ? metadata.modelCode : undefined,
            imsi: metadata.imsi,
            modelCandidates: metadata.deviceModelCandidates && metadata.deviceModelCandidates.join(',')
        },
        telemetry: history && history.dated.length ? [{ ts: ts || now, values: values }].concat(history.dated)
            : ts ? { ts: ts, values: values } : values
    };
}

// "time":"2024-08-20T02:50:58Z" is when it was measured, unless the device had no clock then.
function time(values, now) {
    var ms = moment(values.time, now);
    if (ms) {
        delete values.time;
    }
    return ms;
}

function moment(text, now) {
    var ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : NaN;
    return ms >= 1420070400000 && ms <= now + 86400000 ? ms : undefined;
}

// Of SN50v3-CB, by its mode. In mode 8 the record depends on a setting that isn't sent.
var RECORDS = {
    1: ['temperature', 'humidity', 'adc1', 'DS18B20Temp'],
    2: ['distance', 'adc1', 'DS18B20Temp'],
    3: ['temperature', 'humidity', 'adc1', 'adc2', 'adc3'],
    4: ['adc1', 'DS18B20Temp', 'DS18B20Temp2', 'DS18B20Temp3'],
    5: ['adc1', 'DS18B20Temp', 'weight'],
    6: ['count'],
    7: ['adc1', 'adc2', 'adc3', 'DS18B20Temp', 'DS18B20Temp2', 'DS18B20Temp3'],
    9: ['temperature', 'humidity', 'count'],
    10: ['DS18B20Temp', 'adc1', 'temperature']
};

// "1":[24.4,52.3,0,25.0,"2024-12-09T09:17:50Z"]: the values of an earlier reading, and its time in UTC. A time without
// a zone is none: nobody knows which clock it is of.
function records(source, now, names) {
    var found = { dated: [], undated: [] };
    var pattern = /"\d+"\s*:\s*(?:\{([^{}]*)\}|\[([^\[\]]*)\])/g, match;
    while ((match = pattern.exec(source)) !== null) {
        var inner = match[1] === undefined ? match[2] : match[1], parts = inner.split(',');
        var ts = moment(parts.pop().replace(/["\s]/g, ''), now);
        if (ts) {
            found.dated.push({ ts: ts, values: named(parts, names) });
        } else {
            found.undated.push(match[0]);
        }
    }
    return found;
}

function named(parts, names) {
    var values = {};
    if (!names || names.length !== parts.length) {
        return { record: parts.join(',') };
    }
    for (var i = 0; i < parts.length; i++) {
        values[names[i]] = Number(parts[i]);
    }
    return values;
}

// Both are 0 before the first fix, and its time is 1970.
function position(values) {
    if (values.latitude === 0 && values.longitude === 0) {
        delete values.latitude;
        delete values.longitude;
        if (/^1970-/.test(values.gpsTime)) {
            delete values.gpsTime;
        }
    }
}

var NAMES = { battery: 'batteryVolts', signal: 'csq' };
var SKIPPED = { IMEI: 1, IMSI: 1, Model: 1 };

function fields(source, values) {
    // without the history, whose records look different with each model
    var flat = source.replace(/"\d+"\s*:\s*(?:\{[^{}]*\}|\[[^\[\]]*\])/g, '');
    var field = /"([^"]+)"\s*:\s*(?:"([^"]*)"|(-?\d+(?:\.\d+)?))/g, match;
    while ((match = field.exec(flat)) !== null) {
        if (!SKIPPED[match[1]]) {
            values[name(match[1])] = match[3] === undefined ? match[2] : Number(match[3]);
        }
    }
    if (values.csq >= 0 && values.csq <= 31) {
        values.rssi = 2 * values.csq - 113;
    }
}

function name(key) {
    return NAMES[key] || key.replace(/[\s_-]+(\w)/g, function (_, letter) {
        return letter.toUpperCase();
    });
}

function text(bytes) {
    var out = '';
    for (var i = 0; i < bytes.length; i++) {
        out += String.fromCharCode(bytes[i]);
    }
    return out;
}

function hex(bytes, start) {
    var out = '';
    for (var i = start; i < bytes.length; i++) {
        out += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16);
    }
    return out;
}
