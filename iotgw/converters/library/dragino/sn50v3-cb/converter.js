// Dragino SN50v3-CB and SN50v3-CS in working mode 1: a probe, an analog input, temperature and humidity.
// Source: Dragino's user manual of SN50v3-CB. How other modes look in binary is not public.
var MODEL = 'SN50v3-CB';

function first(frame) {
    var values = { mode: next(frame, 1) };
    if (values.mode !== 1) {
        throw new Error('expected working mode 1, got ' + values.mode + ': let the node send JSON (AT+PRO=…,5)');
    }
    values.temperatureProbe = temperature(next(frame, 2));
    values.inputLevel = next(frame, 1);
    values.interrupt = next(frame, 1);
    values.interruptLevel = next(frame, 1);
    values.adcVolts = next(frame, 2) / 1000;
    values.temperature = temperature(next(frame, 2));
    values.humidity = next(frame, 2) / 10;
    return values;
}

function record(frame) {
    throw new Error('expected a ' + MODEL + ' frame without history, got ' +
        (frame.bytes.length - frame.at) + ' bytes more');
}

// --- common to the Dragino converters -------------------------------------------------------------
