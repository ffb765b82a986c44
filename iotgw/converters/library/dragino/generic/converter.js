// Any Dragino node: JSON frames by their own names; of binary frames the header, and the rest as hex text.
// Dragino's JSON is often none ("1":{1,4,0,2023/11/15 07:54:30}), so it is read by pattern.
function Decoder(payload, metadata) {
    var values = { batteryVolts: metadata.batteryVolts, csq: metadata.csq, rssi: metadata.rssiDbm };
    var model = metadata.deviceModel, now = metadata.receivedTime || Date.now(), records = [], ts;
    if (metadata.generation === 'JSON') {
        model = (model || '').replace(/ ?JSON$/, '') || undefined;
        fields(text(payload), values);
        ts = time(values, now);
        position(values);
        records = history(text(payload), values, now);
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
            imsi: metadata.imsi,
            modelCandidates: metadata.deviceModelCandidates && metadata.deviceModelCandidates.join(',')
        },
        telemetry: records.length ? [ts ? { ts: ts, values: values } : { values: values }].concat(records)
            : ts ? { ts: ts, values: values } : values
    };
}

var HISTORY = /"\d+"\s*:\s*(?:\{([^{}]*)\}|\[([^\[\]]*)\])/g;

// Earlier records, "1":[24.4,52.3,"2024-12-09T09:17:50Z"] or "1":{1,4,0,2023/11/15 07:54:30}: what their numbers mean
// differs with each model, so each is kept as it is, at its own time.
function history(source, values, now) {
    var records = [], undated = [], match;
    HISTORY.lastIndex = 0;
    while ((match = HISTORY.exec(source)) !== null) {
        var raw = (match[1] || match[2] || '').replace(/"/g, '').replace(/^\s+|\s+$/g, '');
        var date = /(\d{4})[-\/](\d\d)[-\/](\d\d)[T ](\d\d:\d\d:\d\d)Z?$/.exec(raw);
        var ms = date ? Date.parse(date[1] + '-' + date[2] + '-' + date[3] + 'T' + date[4] + 'Z') : NaN;
        if (ms >= 1420070400000 && ms <= now + 86400000) {
            records.push({ ts: ms, values: { record: raw } });
        } else if (raw) {
            undated.push(raw);
        }
    }
    if (undated.length) {
        values.undatedRecords = undated.length;
        values.undatedHistory = undated.join('; ');
    }
    return records;
}

// "time":"2024-08-20T02:50:58Z" is when it was measured, unless the device had no clock then.
function time(values, now) {
    var ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(values.time) ? Date.parse(values.time) : NaN;
    if (!(ms >= 1420070400000 && ms <= now + 86400000)) {
        return undefined;
    }
    delete values.time;
    return ms;
}

// Both are 0 before the first fix.
function position(values) {
    if (values.latitude === 0 && values.longitude === 0) {
        delete values.latitude;
        delete values.longitude;
    }
    if (/^1970-/.test(values.gpsTime)) {
        delete values.gpsTime;
    }
}

var NAMES = { battery: 'batteryVolts', signal: 'csq' };
var SKIPPED = { IMEI: 1, IMSI: 1, Model: 1 };

function fields(source, values) {
    var flat = source.replace(HISTORY, '');
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
