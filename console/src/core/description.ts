// The API's description of itself, which forms are made from.
import { get } from "./api";
import type { Schema } from "./schema";

export interface Description {
  components: { schemas: Record<string, Schema> };
}

let asked: Promise<Description> | undefined;

// The API's description; asked for once.
export function describe(): Promise<Description> {
  asked ??= get<Description>("/openapi.json").catch((error) => {
    asked = undefined;
    throw error;
  });
  return asked;
}
