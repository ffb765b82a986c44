// The API's description of itself, which forms are made from.
import { language } from "../texts";
import { translated } from "../texts/settings";
import { get } from "./api";
import type { Schema } from "./schema";

export interface Description {
  components: { schemas: Record<string, Schema> };
}

let asked: Promise<Description> | undefined;

// The API's description, with its texts in the reader's language; asked for once.
export function describe(): Promise<Description> {
  asked ??= ask().catch((error) => {
    asked = undefined;
    throw error;
  });
  return asked;
}

async function ask(): Promise<Description> {
  const german = language === "de" ? import("../texts/settings.de.json") : undefined;
  const said = await get<Description>("/openapi.json");
  return german ? { ...said, components: { schemas: translated(said.components.schemas, (await german).default) } } : said;
}
