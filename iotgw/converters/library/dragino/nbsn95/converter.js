// Dragino NBSN95: probes, ADC and interrupt in one of six modes, which the first byte tells.
var MODEL = 'NBSN95';

function first(frame) {
    var mode = next(frame, 1), values = { mode: mode };
    if (mode === 1) {
        values.temperatureProbe = temperature(next(frame, 2));
        values.interrupt = next(frame, 1);
        values.adcVolts = next(frame, 2) / 1000;
        values.temperature = temperature(next(frame, 2));
        values.humidity = next(frame, 2) / 10;
    } else if (mode === 2) {
        values.temperatureProbe = temperature(next(frame, 2));
        values.interrupt = next(frame, 1);
        values.adcVolts = next(frame, 2) / 1000;
        values.distance = next(frame, 2);
    } else if (mode === 3) {
        values.adcVolts = next(frame, 2) / 1000;
        values.interrupt = next(frame, 1);
        values.adc2Volts = next(frame, 2) / 1000;
        values.temperature = temperature(next(frame, 2));
        values.humidity = next(frame, 2) / 10;
        values.adc3Volts = next(frame, 2) / 1000;
    } else if (mode === 4) {
        values.temperatureProbe = temperature(next(frame, 2));
        values.adcVolts = next(frame, 2) / 1000;
        values.interrupt = next(frame, 1);
        values.temperatureProbe2 = temperature(next(frame, 2));
        values.temperatureProbe3 = temperature(next(frame, 2));
    } else if (mode === 5) {
        values.temperatureProbe = temperature(next(frame, 2));
        values.adcVolts = next(frame, 2) / 1000;
        values.interrupt = next(frame, 1);
        values.weight = next(frame, 2);
    } else if (mode === 6) {
        values.count = next(frame, 4);
    } else {
        throw new Error('expected an NBSN95 mode of 1 to 6, got ' + mode);
    }
    return values;
}

// With AT+CUM=1 the payloads that could not be sent follow whole: version, battery, signal, and the rest.
function record(frame) {
    next(frame, 5);
    return first(frame);
}

// --- common to the Dragino converters -------------------------------------------------------------
