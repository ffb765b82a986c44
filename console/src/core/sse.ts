// Server-sent events (the HTML standard, 9.2.6) out of chunks of text.
export interface Sent {
  id: string;
  event: string;
  data: any;
}

// Events out of chunks of text; what is incomplete waits for the next chunk.
export class EventReader {
  private rest = "";

  feed(text: string): Sent[] {
    const blocks = (this.rest + text).replace(/\r\n?/g, "\n").split("\n\n");
    this.rest = blocks.pop() ?? "";
    return blocks.flatMap((block) => {
      const fields: Record<string, string> = {};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon <= 0) continue;
        const name = line.slice(0, colon);
        const value = line.slice(colon + 1).replace(/^ /, "");
        fields[name] = name in fields ? `${fields[name]}\n${value}` : value;
      }
      if (fields.data === undefined) return [];
      return [{ id: fields.id ?? "", event: fields.event ?? "message", data: JSON.parse(fields.data) }];
    });
  }
}
