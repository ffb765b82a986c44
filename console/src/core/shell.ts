// Commands of iotgwctl, as one pastes them into a shell.
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

const TIMES = ["since", "until"];

// "iotgwctl", words, and options that are set; times are written out.
export function command(words: string[], options: Record<string, string | undefined> = {}): string {
  const set = Object.entries(options).filter((each): each is [string, string] => Boolean(each[1]));
  const text = set.map(([name, given]) => `--${name} ${quoted(TIMES.includes(name) ? new Date(Number(given)).toISOString().slice(0, 19) + "Z" : given)}`);
  return ["iotgwctl", ...words.map(quoted), ...text].join(" ");
}
