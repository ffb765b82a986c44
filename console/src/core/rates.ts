// Rates out of counts that come once a second: over the last five of them, so that the number doesn't jump.
interface Counts {
  at: number;
  datasources: ({ id: string } & Record<string, unknown>)[];
  integrations: ({ id: string } & Record<string, unknown>)[];
}

const OVER = 5000;

export class Rates {
  private readonly seen = new Map<string, { at: number; count: number }[]>();
  private now = 0;

  take(stats: Counts): void {
    this.now = stats.at;
    for (const each of [...stats.datasources, ...stats.integrations])
      for (const [key, count] of Object.entries(each)) {
        if (typeof count !== "number") continue;
        const place = `${each.id} ${key}`;
        const was = this.seen.get(place) ?? [];
        // what hasn't changed isn't sent: then it was the same a moment ago
        if (was.length && stats.at - was.at(-1)!.at > 1500) was.push({ at: stats.at - 1000, count: was.at(-1)!.count });
        was.push({ at: stats.at, count });
        while (was.length > 2 && was[1]!.at <= stats.at - OVER) was.shift();
        this.seen.set(place, was);
      }
  }

  of(id: string, key: string): string {
    const was = (this.seen.get(`${id} ${key}`) ?? []).filter((each) => each.at >= this.now - OVER - 1000);
    if (was.length < 2) return "0";
    const span = Math.max(this.now, was.at(-1)!.at) - was[0]!.at;
    const rate = span > 0 ? ((was.at(-1)!.count - was[0]!.count) * 1000) / span : 0;
    return rate === 0 ? "0" : rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
  }
}
