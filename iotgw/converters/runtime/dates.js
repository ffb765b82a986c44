// What node (in American English, as it is by default) makes of dates and numbers as text. Loaded for scripts that name
// dates or `toLocale…`. Other locales and the rest of Intl's options are not here: what is asked for in them comes out as in English.
(function () {
var DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
var MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
function put(target, name, value) { defineProperty(target, name, {value: value, writable: true, configurable: true, enumerable: false}); }
function two(n) { return (n < 10 ? '0' : '') + n; }
function yearOf(year) {
  var digits = '' + (year < 0 ? -year : year);
  while (digits.length < 4) digits = '0' + digits;
  return (year < 0 ? '-' : '') + (year < 0 ? slice('00' + digits, -6) : digits);
}
function short(name) { return slice(name, 0, 3); }
function isNone(date) { return date.getTime() !== date.getTime(); }

function dayText(date) {
  return short(DAYS[date.getDay()]) + ' ' + short(MONTHS[date.getMonth()]) + ' ' + two(date.getDate()) + ' ' + yearOf(date.getFullYear());
}
function timeText(date) {
  var east = -date.getTimezoneOffset(), minutes = east < 0 ? -east : east;
  return two(date.getHours()) + ':' + two(date.getMinutes()) + ':' + two(date.getSeconds()) + ' GMT' + (east < 0 ? '-' : '+') +
    two(Math.floor(minutes / 60)) + two(minutes % 60) + (east === 0 ? ' (Coordinated Universal Time)' : '');
}
put(Date.prototype, 'toString', function () { return isNone(this) ? 'Invalid Date' : dayText(this) + ' ' + timeText(this); });
put(Date.prototype, 'toDateString', function () { return isNone(this) ? 'Invalid Date' : dayText(this); });
put(Date.prototype, 'toTimeString', function () { return isNone(this) ? 'Invalid Date' : timeText(this); });

// --- texts that node reads as dates, beside ISO 8601 ---
function number(text, otherwise) { return text === undefined || text === '' ? otherwise : +text; }
function monthOf(name) {
  for (var i = 0; i < 12; i++) if (short(MONTHS[i]).toLowerCase() === short(name).toLowerCase()) return i;
  return -1;
}
function parsed(text) {
  var when = /^\s*(?:(?:sun|mon|tue|wed|thu|fri|sat)[a-z]*,?\s+)?(.+?)(?:[\sT,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?\s*([ap]m)?)?\s*(Z|GMT|UTC)?\s*([+-]\d{2}:?\d{2})?\s*(?:\([^)]*\))?\s*$/i.exec(text);
  if (!when) return NaN;
  var day = when[1], found, year, month, date;
  if ((found = /^(\d{4})[\/-](\d{1,2})[\/-](\d{1,2})$/.exec(day))) { year = +found[1]; month = found[2] - 1; date = +found[3]; }
  else if ((found = /^(\d{1,2})[\/-](\d{1,2})[\/-](\d{4})$/.exec(day))) { year = +found[3]; month = found[1] - 1; date = +found[2]; }
  else if ((found = /^([a-z]{3,9})\.?\s+(\d{1,2}),?\s+(\d{4})$/i.exec(day))) { year = +found[3]; month = monthOf(found[1]); date = +found[2]; }
  else if ((found = /^(\d{1,2})[\s-]+([a-z]{3,9})\.?,?[\s-]+(\d{4})$/i.exec(day))) { year = +found[3]; month = monthOf(found[2]); date = +found[1]; }
  if (!found || month < 0 || month > 11 || date < 1 || date > 31) return NaN;
  var hour = number(when[2], 0), minute = number(when[3], 0), second = number(when[4], 0);
  if (when[6]) hour = hour % 12 + (/p/i.test(when[6]) ? 12 : 0);
  if (hour > 24 || minute > 59 || second > 59) return NaN;
  var ms = number(when[5] && slice(when[5] + '00', 0, 3), 0), offset = when[8];
  if (!when[7] && !offset) return new Native(year, month, date, hour, minute, second, ms).getTime();
  var east = offset ? (+slice(offset, 1, 3) * 60 + +slice(offset, -2)) * (offset.charAt(0) === '-' ? -1 : 1) : 0;
  return Native.UTC(year, month, date, hour, minute, second, ms) - east * 60000;
}
var Native = Date;
function parseDate(text) {
  var time = Native.parse(text);
  return time === time ? time : parsed('' + text);
}
if (Native.parse('2024/06/10') !== Native.parse('2024/06/10')) {
  var Dates = function Date(year, month, day, hour, minute, second, ms) {
    if (!(this instanceof Dates)) return new Native().toString();
    switch (arguments.length) {
      case 0: return new Native();
      case 1: return new Native(typeof year === 'string' ? parseDate(year) : year instanceof Native ? year.getTime() : year);
      default: return new Native(year, month, day === undefined ? 1 : day, hour || 0, minute || 0, second || 0, ms || 0);
    }
  };
  Dates.prototype = Native.prototype;
  put(Dates.prototype, 'constructor', Dates);
  put(Dates, 'UTC', Native.UTC);
  put(Dates, 'now', Native.now);
  put(Dates, 'parse', parseDate);
  put(globalThis, 'Date', Dates);
}

// --- as people write it: 1/31/2024, 2:05:09 PM ---
var DATE = ['weekday', 'year', 'month', 'day'], TIME = ['hour', 'minute', 'second'];
function chosen(options, withDate, withTime) {
  var wanted = {}, asked = false, from = options || {}, i;
  for (i = 0; i < DATE.length; i++) if (withDate !== null && from[DATE[i]] !== undefined) { wanted[DATE[i]] = from[DATE[i]]; asked = true; }
  for (i = 0; i < TIME.length; i++) if (withTime !== null && from[TIME[i]] !== undefined) { wanted[TIME[i]] = from[TIME[i]]; asked = true; }
  if (!asked) {
    if (withDate) wanted.year = wanted.month = wanted.day = 'numeric';
    if (withTime) wanted.hour = wanted.minute = wanted.second = 'numeric';
  }
  return wanted;
}
function localised(date, options, withDate, withTime) {
  if (isNone(date)) return 'Invalid Date';
  var wanted = chosen(options, withDate, withTime), zone = options && options.timeZone;
  var isUtc = zone !== undefined && /^(?:Etc\/)?(?:UTC|GMT)$/i.test(zone);
  if (zone !== undefined && !isUtc) throw new RangeError("timeZone: expected 'UTC', the only one that is known here, got '" + zone + "'");
  function part(name) { return date[(isUtc ? 'getUTC' : 'get') + name](); }
  var day = wanted.day && (wanted.day === '2-digit' ? two(part('Date')) : '' + part('Date'));
  var year = wanted.year && (wanted.year === '2-digit' ? two(part('FullYear') % 100) : '' + part('FullYear'));
  var weekday = wanted.weekday && (wanted.weekday === 'long' ? DAYS[part('Day')] : short(DAYS[part('Day')]));
  var month = part('Month'), text = '', isNamed = wanted.month === 'long' || wanted.month === 'short';
  if (isNamed) {
    month = wanted.month === 'long' ? MONTHS[month] : short(MONTHS[month]);
    text = (weekday ? weekday + ', ' : '') + month + (day ? ' ' + day : '') + (year ? (day ? ', ' : ' ') + year : '');
  } else {
    var numbers = [];
    if (wanted.month) push(numbers, wanted.month === '2-digit' ? two(month + 1) : '' + (month + 1));
    if (day) push(numbers, day);
    if (year) push(numbers, year);
    text = (weekday || '') + (weekday && numbers.length ? ', ' : '') + joined(numbers, '/');
  }
  var clock = clockText(part, wanted, options || {});
  return text + (text && clock ? (wanted.month === 'long' ? ' at ' : ', ') : '') + clock;
}
function clockText(part, wanted, options) {
  var hour = part('Hours'), is12 = options.hour12 === undefined ? options.hourCycle !== 'h23' : options.hour12, pieces = [];
  var half = is12 && wanted.hour ? (hour < 12 ? ' AM' : ' PM') : '';
  if (wanted.hour) {
    var shown = is12 ? hour % 12 || 12 : options.hour12 === false && options.hourCycle === undefined && hour === 0 ? 24 : hour;
    push(pieces, wanted.hour === '2-digit' || !is12 ? two(shown) : '' + shown);
  }
  if (wanted.minute) push(pieces, wanted.hour || wanted.second || wanted.minute === '2-digit' ? (wanted.hour || wanted.second ? two(part('Minutes')) : '' + part('Minutes')) : '' + part('Minutes'));
  if (wanted.second) push(pieces, wanted.minute ? two(part('Seconds')) : '' + part('Seconds'));
  return joined(pieces, ':') + half;
}
put(Date.prototype, 'toLocaleString', function (locale, options) { return localised(this, options, true, true); });
put(Date.prototype, 'toLocaleDateString', function (locale, options) { return localised(this, options, true, hasTime(options) ? false : null); });
put(Date.prototype, 'toLocaleTimeString', function (locale, options) { return localised(this, options, hasDate(options) ? false : null, true); });
function hasTime(options) { return !!options && (options.hour !== undefined || options.minute !== undefined || options.second !== undefined); }
function hasDate(options) { return !!options && (options.year !== undefined || options.month !== undefined || options.day !== undefined || options.weekday !== undefined); }

// --- numbers: 1,234.5 ---
function digits(value, name, least, most, otherwise) {
  if (value === undefined) return otherwise;
  var n = Number(value);
  if (!(n >= least && n <= most)) throw new RangeError(name + ' value is out of range.');
  return Math.floor(n);
}
put(Number.prototype, 'toLocaleString', function (locale, options) {
  var value = Number(this), from = options || {}, isPercent = from.style === 'percent';
  if (value !== value) return 'NaN';
  if (value === Infinity || value === -Infinity) return value < 0 ? '-∞' : '∞';
  var least = digits(from.minimumFractionDigits, 'minimumFractionDigits', 0, 20, 0);
  var most = digits(from.maximumFractionDigits, 'maximumFractionDigits', 0, 20, Math.max(least, isPercent ? 0 : 3));
  if (from.minimumFractionDigits === undefined) least = Math.min(least, most);
  else if (most < least) throw new RangeError('maximumFractionDigits value is out of range.');
  var shown = rounded(Math.abs(isPercent ? value * 100 : value), most), dot = shown.indexOf('.');
  var whole = dot < 0 ? shown : slice(shown, 0, dot), fraction = dot < 0 ? '' : slice(shown, dot + 1);
  while (fraction.length > least && fraction.charAt(fraction.length - 1) === '0') fraction = slice(fraction, 0, -1);
  while (fraction.length < least) fraction += '0';
  while (whole.length < (from.minimumIntegerDigits || 1)) whole = '0' + whole;
  if (from.useGrouping !== false) whole = replace(whole, /\B(?=(?:\d{3})+$)/g, ',');
  return (value < 0 || (value === 0 && 1 / value < 0) ? '-' : '') + whole + (fraction ? '.' + fraction : '') + (isPercent ? '%' : '');
});
// Halves go up by the number's shortest text, as Intl has it: 1.005 is 1.01, where toFixed says 1.00.
function rounded(value, places) {
  var said = '' + value;
  if (said.indexOf('e') >= 0) {
    if (value < 1) return value.toFixed(places);
    var power = +slice(said, said.indexOf('e') + 1), mantissa = replace(slice(said, 0, said.indexOf('e')), /\./, '');
    while (mantissa.length <= power) mantissa += '0';
    return mantissa;
  }
  var dot = said.indexOf('.');
  if (dot < 0 || said.length - dot - 1 <= places) return said;
  var kept = slice(said, 0, dot) + slice(said, dot + 1, dot + 1 + places), isUp = said.charAt(dot + 1 + places) >= '5', out = '';
  for (var i = kept.length - 1; i >= 0; i--) {
    var digit = +kept.charAt(i) + (isUp ? 1 : 0);
    isUp = digit > 9;
    out = (digit % 10) + out;
  }
  if (isUp) out = '1' + out;
  return places ? slice(out, 0, -places) + '.' + slice(out, -places) : out;
}
})();
