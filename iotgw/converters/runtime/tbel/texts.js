// Java's texts: String.format, regular expressions, charsets.
var FORMAT = /%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g;

function grouped(digits) { return digits.replace(/\B(?=(\d{3})+(?!\d))/g, ','); }
// A decimal rounded half up, as BigDecimal does it from the shortest text of the double
function rounded(v, places) {
  var match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec('' + v), exponent = Number(match[4] || 0);
  var digits = match[2] + (match[3] || ''), point = match[2].length + exponent;
  if (point < 0) { digits = '0'.repeat(-point) + digits; point = 0; }
  if (digits.length < point) digits = digits.padEnd(point, '0');
  var cut = point + places;
  if (cut < 0) return match[1] + '0';
  var kept = digits.slice(0, cut).padEnd(cut, '0'), isUp = digits.length > cut && digits[cut] >= '5';
  var whole = (BigInt(kept || '0') + (isUp ? 1n : 0n)).toString().padStart(places + 1, '0');
  var made = places > 0 ? whole.slice(0, -places) + '.' + whole.slice(-places) : whole + '0'.repeat(-places);
  return (v < 0 || Object.is(v, -0) ? '-' : '') + made;
}
function padded(body, flags, width) {
  if (body.length >= width) return body;
  if (width > 10000) throw fail('IllegalFormatWidthException', '' + width);
  return flags.includes('-') ? body.padEnd(width) : body.padStart(width);
}
function signed(body, isNegative, flags, width) {
  var sign = isNegative ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  if (flags.includes('0') && !flags.includes('-')) body = body.padStart(Math.min(width, 10000) - sign.length, '0');
  return sign + body;
}
function wholeText(v, radix) {   // in the two's complement of its class
  var n = typeof v === 'bigint' ? v : BigInt(typeof v === 'number' ? v : v.v);
  return (n < 0n ? BigInt.asUintN(typeof v === 'bigint' ? 64 : v instanceof TByte ? 8 : v instanceof TShort ? 16 : 32, n) : n).toString(radix);
}
function formatOne(kind, flags, width, precision, v) {
  var lower = kind.toLowerCase(), code = codeOf(v), body;
  var isWhole = code === INT || code === LONG || code === BYTE || code === SHORT;
  if (lower === 's') body = precision === undefined ? text(v) : text(v).slice(0, precision);
  else if (lower === 'b') body = v === null ? 'false' : typeof v === 'boolean' ? '' + v : 'true';
  else if (v === null) body = 'null';
  else if (lower === 'c') body = typeof v === 'number' ? String.fromCodePoint(v) : v instanceof TChar ? v.v : null;
  else if (lower === 'h') body = (hash(v) >>> 0).toString(16);
  else if (kind === 'd' && isWhole) {
    var digits = text(v).replace('-', '');
    body = signed(flags.includes(',') ? grouped(digits) : digits, toDouble(v) < 0, flags, width);
  } else if ((lower === 'x' || kind === 'o') && isWhole) {
    body = (flags.includes('#') ? lower === 'x' ? '0x' : '0' : '') + wholeText(v, lower === 'x' ? 16 : 8);
    if (flags.includes('0')) body = body.padStart(Math.min(width, 10000), '0');
  } else if ((kind === 'f' || lower === 'e' || lower === 'g') && (code === DOUBLE || code === FLOAT)) {
    var places = precision === undefined ? 6 : precision, number = code === FLOAT ? Number(shortest(v.v)) : v.v;
    if (!isFinite(number)) body = padded(number !== number ? 'NaN' : number < 0 ? '-Infinity' : 'Infinity', '', 0);
    else {
      var made = kind === 'f' ? rounded(Math.abs(number), places)
        : lower === 'e' ? Math.abs(number).toExponential(places).replace(/e([+-])(\d)$/, 'e$10$2') : '' + Number(Math.abs(number).toPrecision(places || 1));
      if (flags.includes(',')) made = made.replace(/^\d+/, grouped);
      body = signed(made, number < 0 || Object.is(number, -0), flags, width);
    }
  } else throw fail(FORMATS[lower] ? 'IllegalFormatConversionException' : 'UnknownFormatConversionException',
                    FORMATS[lower] ? kind + ' != ' + classOf(v) : "Conversion = '" + kind + "'");
  if (body === null) throw fail('IllegalFormatConversionException', kind + ' != ' + classOf(v));
  return padded(kind === lower ? body : body.toUpperCase(), flags, width);
}
var FORMATS = {d: 1, x: 1, o: 1, f: 1, e: 1, g: 1, c: 1};
function format(pattern, args) {
  var next = 0;
  return text(pattern).replace(FORMAT, function (all, index, flags, width, precision, kind) {
    width = Number(width || 0);
    if (kind === 'n') return '\n';
    if (kind === '%') return padded('%', flags, width);
    var at = index ? index - 1 : next++;
    if (at >= args.length) throw fail('MissingFormatArgumentException', "Format specifier '" + all + "'");
    return formatOne(kind, flags, width, precision === undefined ? undefined : Number(precision), args[at]);
  });
}

// A regular expression of Java's. Of its flags those that JavaScript has are known at the beginning: (?i), (?s), (?m).
var PATTERNS = new Map(), POSIX = {Alpha: 'A-Za-z', Digit: '0-9', Alnum: 'A-Za-z0-9', Upper: 'A-Z', Lower: 'a-z', Punct: '!-\\/:-@\\[-`{-~', XDigit: '0-9A-Fa-f', Space: '\\s'};
function regex(pattern, flags) {
  var key = flags + pattern, made = PATTERNS.get(key);
  if (made) { made.lastIndex = 0; return made; }
  var more = '', source = pattern.replace(/^\(\?([ims]+)\)/, function (all, given) { more = given; return ''; });
  source = source.replace(/\\p\{(\w+)\}/g, function (all, name) { return POSIX[name] ? '[' + POSIX[name] + ']' : all; })
    .replace(/\[\[(A-Za-z|0-9|A-Za-z0-9)\]/g, '[$1').replace(/\\A/g, '^').replace(/\\[zZ]/g, '$').replace(/([*+?}])\+/g, '$1');
  try { made = new RegExp(source, flags + more); } catch (error) { throw fail('PatternSyntaxException', error.message + ': ' + pattern); }
  if (PATTERNS.size < 100) PATTERNS.set(key, made);
  return made;
}
function replacement(s) {       // Java's $1 and \$ as JavaScript's
  return s.replace(/\\(.)|\$(\d)|\$\{(\w+)\}|\$/gs, function (all, escaped, group, name) {
    return escaped !== undefined ? escaped === '$' ? '$$' : escaped : group ? '$' + group : name ? '$<' + name + '>' : '$$';
  });
}
function splitText(s, pattern, limit) {
  var found = [], from = 0, expression = regex(pattern, 'g'), match;
  if (s === '') return [''];
  while ((limit <= 0 || found.length < limit - 1) && (match = expression.exec(s))) {
    if (match[0] === '') {
      expression.lastIndex++;
      if (match.index === 0 || match.index >= s.length) continue;
    } else if (match.index === 0 && match[0].length === 0) continue;
    found.push(s.slice(from, match.index));
    from = match.index + match[0].length;
  }
  if (from === 0 && !found.length) return [s];
  found.push(s.slice(from));
  if (limit === 0) while (found.length && found[found.length - 1] === '') found.pop();
  return found;
}

function decodeText(bytes, charset) {
  switch (charset.toUpperCase().replace(/_/g, '-')) {
    case 'UTF-8': case 'UTF8': return utf8Replaced(bytes);
    case 'ISO-8859-1': case 'LATIN1': return latin1(bytes);
    case 'US-ASCII': case 'ASCII': return latin1(bytes).replace(/[\x80-\xff]/g, '\ufffd');
    case 'UTF-16BE': case 'UTF-16': case 'UTF-16LE': {
      var low = charset.toUpperCase().endsWith('LE') ? 0 : 1, made = '';
      for (var i = 0; i + 1 < bytes.length; i += 2) made += fromCharCode((bytes[i + 1 - low] & 255) << 8 | bytes[i + low] & 255);
      return made;
    }
  }
  throw fail('UnsupportedEncodingException', charset);
}
function encodeText(s, charset) {
  switch (charset.toUpperCase().replace(/_/g, '-')) {
    case 'UTF-8': case 'UTF8': return utf8Encode(s.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(^|[^\ud800-\udbff])[\udc00-\udfff]/g, '$1?'));
    case 'ISO-8859-1': case 'LATIN1': return latin1Bytes(s.replace(/[^\x00-\xff]/g, '?'));
    case 'US-ASCII': case 'ASCII': return latin1Bytes(s.replace(/[^\x00-\x7f]/g, '?'));
    case 'UTF-16BE': case 'UTF-16LE': {
      var made = [], isLow = charset.toUpperCase().endsWith('LE');
      for (var i = 0; i < s.length; i++) {
        var code = s.charCodeAt(i);
        made.push(isLow ? code & 255 : code >> 8, isLow ? code >> 8 : code & 255);
      }
      return made;
    }
  }
  throw fail('UnsupportedEncodingException', charset);
}
