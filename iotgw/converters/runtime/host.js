// What every script finds besides the language: text and base64, and console.
// A script's own function of the same name wins, because it shadows the global.
var BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
var SEXTETS = {};
for (var sextet = 0; sextet < 64; sextet++) SEXTETS[BASE64[sextet]] = sextet;
SEXTETS['-'] = 62;
SEXTETS['_'] = 63;

function encodeBase64(bytes) {
  var out = [];
  for (var i = 0; i < bytes.length; i += 3) {
    var rest = bytes.length - i, three = (bytes[i] & 255) << 16 | (rest > 1 ? (bytes[i + 1] & 255) << 8 : 0) | (rest > 2 ? bytes[i + 2] & 255 : 0);
    out[out.length] = BASE64[three >> 18] + BASE64[three >> 12 & 63] + (rest > 1 ? BASE64[three >> 6 & 63] : '=') + (rest > 2 ? BASE64[three & 63] : '=');
  }
  return joined(out, '');
}

function decodeBase64(encoded) {
  var clean = ('' + encoded).replace(/[\s=]+/g, ''), bytes = [], bits = 0, held = 0;
  if (clean.length % 4 === 1) throw new TypeError('not base64: a length of ' + clean.length);
  for (var i = 0; i < clean.length; i++) {
    var value = SEXTETS[clean[i]];
    if (value === undefined) throw new TypeError('not base64: ' + stringify(clean[i]) + ' at ' + i);
    held = (held << 6 | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) { bits -= 8; bytes.push(held >> bits & 255); }
  }
  return bytes;
}

// Duktape hashes every string that it makes: text is put together from few long pieces.
var PIECE = 1024;
function latin1(bytes) {
  var pieces = [];
  for (var i = 0; i < bytes.length; i += PIECE) {
    var piece = listSlice(bytes, i, i + PIECE);
    for (var j = 0; j < piece.length; j++) piece[j] &= 255;
    pieces[pieces.length] = apply(fromCharCode, null, piece);
  }
  return pieces.length === 1 ? pieces[0] : joined(pieces, '');
}

function latin1Bytes(string) {
  var bytes = [], s = '' + string;
  for (var i = 0; i < s.length; i++) bytes.push(s.charCodeAt(i) & 255);
  return bytes;
}

// UTF-8 where the bytes are UTF-8; otherwise each byte is a character, as ThingsBoard's examples have it.
var OwnDecoder = typeof TextDecoder === 'undefined' ? null : TextDecoder, OwnBytes = Uint8Array;
var isHigh = uncurry(RegExp.prototype.test), HIGH = /[\x80-\xff]/;
function utf8Decode(bytes) {
  if (OwnDecoder) {
    try { return new OwnDecoder('utf-8', {fatal: true}).decode(new OwnBytes(bytes)); } catch (notUtf8) { return latin1(bytes); }
  }
  var out = latin1(bytes);
  if (!isHigh(HIGH, out)) return out;
  try { out = decodeURIComponent(escape(out)); } catch (notUtf8) { return out; }
  return charCodeAt(out, 0) === 0xfeff ? slice(out, 1) : out;  // a byte order mark, as TextDecoder has it
}

// UTF-8 as the web and node read it: what is none is U+FFFD, once for each longest beginning of a character.
function utf8Replaced(bytes) {
  var plainText = latin1(bytes);
  if (!isHigh(HIGH, plainText)) return plainText;
  var out = [], need = 0, code = 0, low = 0x80, high = 0xbf;
  function put(point) {
    out[out.length] = point < 0x10000 ? fromCharCode(point) : fromCharCode(0xd800 + (point - 0x10000 >> 10), 0xdc00 + (point - 0x10000 & 0x3ff));
  }
  for (var i = 0; i < bytes.length; i++) {
    var byte = bytes[i] & 255;
    if (need) {
      if (byte >= low && byte <= high) {
        code = code << 6 | byte & 0x3f;
        low = 0x80;
        high = 0xbf;
        if (!--need) put(code);
        continue;
      }
      put(0xfffd);
      need = 0;
    }
    low = 0x80;
    high = 0xbf;
    if (byte < 0x80) put(byte);
    else if (byte >= 0xc2 && byte < 0xe0) { need = 1; code = byte & 0x1f; }
    else if (byte >= 0xe0 && byte < 0xf0) {
      need = 2;
      code = byte & 15;
      if (byte === 0xe0) low = 0xa0;
      if (byte === 0xed) high = 0x9f;
    } else if (byte >= 0xf0 && byte < 0xf5) {
      need = 3;
      code = byte & 7;
      if (byte === 0xf0) low = 0x90;
      if (byte === 0xf4) high = 0x8f;
    } else put(0xfffd);
  }
  if (need) put(0xfffd);
  return joined(out, '');
}

function utf8Encode(string) {
  return latin1Bytes(unescape(encodeURIComponent(string)));
}

function give(name, value) {
  defineProperty(globalThis, name, {value: value, writable: true, configurable: true, enumerable: false});
}

give('decodeToString', utf8Decode);
give('decodeToJson', function (bytes) { return parse(utf8Decode(bytes)); });
function unfit(message) {
  var error = new Error(message);
  error.name = 'InvalidCharacterError';
  return error;
}
give('btoa', function (string) {
  for (var s = '' + string, i = 0; i < s.length; i++) if (charCodeAt(s, i) > 255) throw unfit('not one byte: ' + stringify(s.charAt(i)) + ' at ' + i);
  return encodeBase64(latin1Bytes(s));
});
give('atob', function (string) {
  var bytes;
  try { bytes = decodeBase64(string); } catch (error) { throw unfit(error.message); }
  return latin1(bytes);
});
give('parseBase64', decodeBase64);
give('bytes', function (value) { return typeof value === 'string' ? latin1Bytes(value) : [].slice.call(value); });
give('string', function (bytes) { return latin1(bytes); });

give('__iotgw_at', function (loop) { reached = loop; return true; });

// the engines' own is off by a bit for 27
defineProperty(Math, 'cbrt', {writable: true, configurable: true, enumerable: false, value: function cbrt(n) {
  var x = +n, root = x < 0 ? -Math.pow(-x, 1 / 3) : Math.pow(x, 1 / 3), step = (root * root * root - x) / (3 * root * root);
  return step === step ? root - step : x;
}});

// --- console ---

function log() {
  if (logs.length >= LOG_LINES) {
    if (!logsCut) { logsCut = true; push(logs, '… more lines were left out'); }
    return;
  }
  var said = '';
  for (var i = 0; i < arguments.length; i++) {
    var value = arguments[i], shown;
    if (typeof value === 'object' && value !== null && !(value instanceof Error)) {
      try { shown = stringify(value); } catch (circular) { shown = '' + value; }
    } else {
      shown = value;
    }
    said += (i ? ' ' : '') + text(shown, LOG_CHARS);
  }
  push(logs, text(said, LOG_CHARS));
}
give('console', {log: log, info: log, warn: log, error: log, debug: log, trace: log});

if (typeof TextDecoder === 'undefined') {
  give('TextDecoder', function TextDecoder(label, options) {
    var name = ('' + (label === undefined ? 'utf-8' : label)).toLowerCase();
    this.encoding = name === 'utf8' ? 'utf-8' : name === 'latin1' || name === 'ascii' || name === 'iso-8859-1' ? 'windows-1252' : name;
    if (this.encoding !== 'utf-8' && this.encoding !== 'windows-1252') throw new RangeError('The "' + label + '" encoding is not supported');
    this.fatal = !!(options && options.fatal);
    this.ignoreBOM = !!(options && options.ignoreBOM);
  });
  globalThis.TextDecoder.prototype.decode = function (bytes) {
    var list = bytes === undefined ? [] : isBytes(bytes) ? listOf(bytes) : listSlice(bytes);
    if (this.encoding === 'windows-1252') return latin1(list);
    var out = utf8Replaced(list);
    if (this.fatal && out.indexOf('\ufffd') >= 0 && latin1(utf8Encode(out)) !== latin1(list)) {
      throw new TypeError('The encoded data was not valid for encoding utf-8');
    }
    return !this.ignoreBOM && charCodeAt(out, 0) === 0xfeff ? slice(out, 1) : out;
  };
  give('TextEncoder', function TextEncoder() { this.encoding = 'utf-8'; });
  globalThis.TextEncoder.prototype.encode = function (string) {
    return new OwnBytes(utf8Encode(string === undefined ? '' : string));
  };
}
