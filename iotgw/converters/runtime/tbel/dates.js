// TBEL's Date. There is one time zone here, UTC: it is what a server runs on, and what a text without a zone means.
var MONTHS = 'January February March April May June July August September October November December'.split(' ');
var DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
var DAY_MS = 86400000;

function pad(n, width) { return String(Math.abs(n)).padStart(width, '0'); }
function badDate(s) { return fail('ConversionException', 'Cannot parse value [' + s + '] as instant'); }

// The offset of a zone in minutes: UTC, GMT, Z and +hh:mm are known here
function zoneOffset(zone) {
  if (/^(?:Z|UTC|GMT|UT|Etc\/UTC|Etc\/GMT|Zulu)$/i.test(zone)) return 0;
  var match = /^(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?(?::?\d{2})?$/.exec(zone);
  if (!match) throw fail('ZoneRulesException', 'the time zone ' + zone + ' is not known here: UTC and offsets such as +02:00 are');
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3] || 0));
}

function civil(year, month, day, hour, minute, second, ms, offset) {
  if (month < 1 || month > 12) throw fail('DateTimeException', 'Invalid value for MonthOfYear (valid values 1 - 12): ' + month);
  if (day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate()) throw fail('DateTimeException', 'Invalid date: day ' + day + ' of month ' + month);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) throw fail('DateTimeException', 'Invalid time ' + hour + ':' + minute + ':' + second);
  var made = new Date(0);
  made.setUTCFullYear(year, month - 1, day);
  made.setUTCHours(hour, minute, second, ms);
  return made.getTime() - (offset || 0) * 60000;
}

function parseIso(s) {
  var match = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/.exec(s);
  if (!match || match[4] === undefined) throw badDate(s);
  return civil(+match[1], +match[2], +match[3], +match[4], +match[5], +(match[6] || 0), Math.floor(Number('0.' + (match[7] || 0)) * 1000 + 1e-6),
               match[8] ? zoneOffset(match[8]) : 0);
}
function parseRfc1123(s) {
  var match = /^(?:\w{3},\s*)?(\d{1,2}) (\w{3}) (\d{4}) (\d{2}):(\d{2})(?::(\d{2}))?\s*(\S+)?$/.exec(s.trim());
  var month = match ? MONTHS.findIndex(function (name) { return name.startsWith(match[2]); }) : -1;
  if (month < 0) throw badDate(s);
  return civil(+match[3], month + 1, +match[1], +match[4], +match[5], +(match[6] || 0), 0, match[7] ? zoneOffset(match[7]) : 0);
}

// The letters of java.time's patterns, which a date is written and read by
function patternParts(pattern) {
  return pattern.match(/'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+/g) || [];
}
function formatPattern(pattern, ms, offset) {
  var d = new Date(ms + (offset || 0) * 60000);
  return patternParts(pattern).map(function (part) {
    if (part[0] === "'") return part === "''" ? "'" : part.slice(1, -1).replace(/''/g, "'");
    var n = part.length, hour = d.getUTCHours();
    switch (part[0]) {
      case 'y': case 'u': case 'Y': return n === 2 ? pad(d.getUTCFullYear() % 100, 2) : pad(d.getUTCFullYear(), n === 1 ? 1 : n);
      case 'M': case 'L': return n < 3 ? pad(d.getUTCMonth() + 1, n) : n === 3 ? MONTHS[d.getUTCMonth()].slice(0, 3) : MONTHS[d.getUTCMonth()];
      case 'd': return pad(d.getUTCDate(), n);
      case 'D': return pad(Math.floor((d.getTime() - Date.UTC(d.getUTCFullYear(), 0, 1)) / DAY_MS) + 1, n);
      case 'E': return n < 4 ? DAYS[d.getUTCDay()].slice(0, 3) : DAYS[d.getUTCDay()];
      case 'e': return String(d.getUTCDay() + 1);
      case 'H': return pad(hour, n);
      case 'k': return pad(hour || 24, n);
      case 'h': return pad(hour % 12 || 12, n);
      case 'K': return pad(hour % 12, n);
      case 'a': return hour < 12 ? 'AM' : 'PM';
      case 'm': return pad(d.getUTCMinutes(), n);
      case 's': return pad(d.getUTCSeconds(), n);
      case 'S': return (pad(d.getUTCMilliseconds(), 3) + '000000').slice(0, n);
      case 'X': case 'x': case 'Z': return offset || part[0] !== 'X' ? (offset < 0 ? '-' : '+') + pad(Math.trunc((offset || 0) / 60), 2) + (n === 3 ? ':' : '') + pad((offset || 0) % 60, 2) : 'Z';
      case 'z': case 'V': return 'UTC';
    }
    if (/[A-Za-z]/.test(part)) throw fail('IllegalArgumentException', 'Unknown pattern letter: ' + part[0]);
    return part;
  }).join('');
}
var READ = {y: 'year', u: 'year', M: 'month', L: 'month', d: 'day', H: 'hour', k: 'hour', h: 'half', K: 'half', m: 'minute', s: 'second', S: 'part', a: 'noon'};
function parsePattern(s, pattern, offset) {
  var names = [], source = patternParts(pattern).map(function (part) {
    if (part[0] === "'") return (part === "''" ? "'" : part.slice(1, -1)).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    if (!/[A-Za-z]/.test(part)) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    if (/[XxZzV]/.test(part[0])) { names.push('zone'); return '(Z|UTC|GMT|[+-]\\d{2}:?\\d{2}|[+-]\\d{2})'; }
    if (part[0] === 'E') return '[A-Za-z]+';
    var name = READ[part[0]];
    if (!name) throw fail('IllegalArgumentException', 'Unknown pattern letter: ' + part[0]);
    names.push(name);
    if (name === 'noon') return '([AaPp][Mm])';
    if (name === 'month' && part.length > 2) return '([A-Za-z]+)';
    return '(\\d{' + (part.length === 1 ? '1,4' : part.length) + '})';
  }).join('');
  var match = new RegExp('^' + source + '$').exec(s);
  if (!match) throw badDate(s);
  var found = {year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, ms: 0};
  names.forEach(function (name, i) {
    var value = match[i + 1];
    if (name === 'zone') offset = zoneOffset(value);
    else if (name === 'noon') found.noon = value.toLowerCase();
    else if (name === 'part') found.ms = Math.floor(Number('0.' + value) * 1000 + 1e-6);
    else if (name === 'month' && !/^\d/.test(value)) found.month = MONTHS.findIndex(function (month) { return month.toLowerCase().startsWith(value.toLowerCase().slice(0, 3)); }) + 1;
    else found[name === 'half' ? 'hour' : name] = name === 'year' && value.length === 2 ? 2000 + Number(value) : Number(value);
  });
  if (found.noon) found.hour = found.hour % 12 + (found.noon === 'pm' ? 12 : 0);
  return civil(found.year, found.month, found.day, found.hour, found.minute, found.second, found.ms, offset);
}

// The forms of American English; any other language gets them, too
var DATE_STYLES = {full: 'EEEE, MMMM d, y', long: 'MMMM d, y', medium: 'MMM d, y', short: 'M/d/yy'};
var TIME_STYLES = {full: "h:mm:ss a 'Coordinated Universal Time'", long: "h:mm:ss a 'UTC'", medium: 'h:mm:ss a', short: 'h:mm a'};
function dateText(d, date, time) {
  var joint = date === 'full' || date === 'long' ? " 'at' " : ', ';
  return formatPattern((date ? DATE_STYLES[date] : '') + (date && time ? joint : '') + (time ? TIME_STYLES[time] : ''), d.ms, 0);
}
function localeText(d, args, date, time) {
  var locale = args.length ? text(args[0]) : '', options = {}, offset = 0;
  if (args.length > 1) {
    var given = text(args[1]);
    if (given[0] === '{') options = JSON.parse(given);
    else offset = zoneOffset(given);
    if (options.timeZone) offset = zoneOffset(options.timeZone);
  }
  if (options.pattern) return formatPattern(options.pattern, d.ms, offset);
  if (!locale) {
    return formatPattern((date ? date === 'plain' ? 'yyyy-MM-dd' : 'y MMM d, E' : '') + (date && time ? ' ' : '') + (time ? 'HH:mm:ss' : ''), d.ms, offset);
  }
  var moved = new TDate(d.ms + offset * 60000);
  return dateText(moved, date && (options.dateStyle || (date === 'plain' ? 'short' : 'full')).toLowerCase(), time && (options.timeStyle || 'medium').toLowerCase());
}
function isoText(d) {
  var s = new Date(d.ms).toISOString();
  return s.endsWith('.000Z') ? s.slice(0, -5) + 'Z' : s;
}

function newDate(args) {
  if (args.length === 0) return new TDate(Date.now());
  var first = args[0], isText = typeof first === 'string';
  if (args.length === 1) {
    if (isText) return new TDate(/^\d/.test(first) ? parseIso(first) : parseRfc1123(first));
    if (first instanceof TDate) return new TDate(first.ms);
    return new TDate(Number(toLong(toDouble(first))));
  }
  if (isText) return new TDate(parsePattern(first, text(args[1]), args.length > 3 ? zoneOffset(text(args[3])) : 0));
  var numbers = args.slice(), zone = typeof numbers[numbers.length - 1] === 'string' ? zoneOffset(numbers.pop()) : 0;
  numbers = numbers.map(int);
  if (numbers.length < 3) throw fail('CompileException', 'unable to find constructor for: Date');
  return new TDate(civil(shortYear(numbers[0]), numbers[1], numbers[2], numbers[3] || 0, numbers[4] || 0, numbers[5] || 0, numbers[6] || 0, zone));
}
function shortYear(year) { return year < 70 ? 2000 + year : year <= 99 ? 1900 + year : year; }

var dateStatics = {
  now: function () { return BigInt(Date.now()); },
  parse: function (s, pattern) {
    try { return BigInt(pattern === undefined ? parseIso(text(s)) : parsePattern(text(s), text(pattern), 0)); } catch (error) { return -1n; }
  },
  UTC: function (year, month, day, hour, minute, second, ms) {
    return BigInt(civil(shortYear(int(year) || 1899), int(month || 0) || 12, int(day || 0) || 31, int(hour || 0), int(minute || 0), int(second || 0), int(ms || 0), 0));
  }
};

var dateMethods = {
  getTime: function (d) { return BigInt(d.ms); },
  valueOf: function (d) { return BigInt(d.ms); },
  parseSecond: function (d) { return BigInt(Math.floor(d.ms / 1000)); },
  parseSecondMilli: function (d) { return BigInt(d.ms); },
  setTime: function (d, ms) { d.ms = Number(toLong(toDouble(ms))); return null; },
  toISOString: isoText,
  toJSON: isoText,
  toString: function (d) { return dateText(d, 'full', 'full'); },
  toLocaleString: function (d, ...args) { return localeText(d, args, 'plain', true); },
  toLocaleDateString: function (d, ...args) { return localeText(d, args, args.length > 1 ? 'plain' : 'named', false); },
  toLocaleTimeString: function (d, ...args) { return args.length ? localeText(d, args, '', true) : dateText(d, '', 'medium'); },
  toDateString: function (d, ...args) { return localeText(d, args, 'named', false); },
  toTimeString: function (d) { return dateText(d, '', 'full'); },
  toUTCString: function (d, ...args) { return args.length ? dateText(d, 'full', 'medium') : localeText(d, [], 'named', true); },
  before: function (d, o) { return d.ms < o.ms; },
  after: function (d, o) { return d.ms > o.ms; }
};
var FIELDS = {FullYear: 0, Month: 1, Date: 2, Hours: 3, Minutes: 4, Seconds: 5, Milliseconds: 6};
function fieldsOf(d) {
  var date = new Date(d.ms);
  return [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), date.getUTCMilliseconds()];
}
Object.keys(FIELDS).forEach(function (name) {
  var first = FIELDS[name];
  function get(d) { return fieldsOf(d)[first]; }
  function set(d, ...values) {
    var fields = fieldsOf(d), day = fields[2];
    values.forEach(function (value, i) { fields[first + i] = int(value); });
    // a day that the month doesn't have runs over into the next one
    var isOver = first < 2 && first + values.length < 3 && day > 28;
    d.ms = civil(fields[0], fields[1], isOver ? 1 : fields[2], fields[3], fields[4], fields[5], fields[6], 0) + (isOver ? (day - 1) * DAY_MS : 0);
    return null;
  }
  dateMethods['get' + name] = dateMethods['getUTC' + name] = get;
  dateMethods['set' + name] = dateMethods['setUTC' + name] = set;
});
dateMethods.getDay = dateMethods.getUTCDay = function (d) { return new Date(d.ms).getUTCDay() || 7; };
var STEPS = {addSeconds: 1000, addMinutes: 60000, addHours: 3600000, addDays: DAY_MS, addWeeks: 7 * DAY_MS};
Object.keys(STEPS).forEach(function (name) {
  dateMethods[name] = function (d, n) { d.ms += int(n) * STEPS[name]; return null; };
});
function addMonths(d, n) {
  var fields = fieldsOf(d), month = fields[0] * 12 + fields[1] - 1 + n, year = Math.floor(month / 12);
  var last = new Date(Date.UTC(year, month - year * 12 + 1, 0)).getUTCDate();
  d.ms = civil(year, month - year * 12 + 1, Math.min(fields[2], last), fields[3], fields[4], fields[5], fields[6], 0);
  return null;
}
dateMethods.addMonths = function (d, n) { return addMonths(d, int(n)); };
dateMethods.addYears = function (d, n) { return addMonths(d, int(n) * 12); };
dateMethods.addNanos = function (d, n) { d.ms += Math.floor(toDouble(n) / 1e6); return null; };
