// JSON Schema as the API's description has it, and what a form needs to know of it.

export interface Schema {
  title?: string;
  description?: string;
  type?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  enum?: (string | number | null)[];
  anyOf?: Schema[];
  $ref?: string;
  discriminator?: { propertyName: string; mapping: Record<string, string> };
  default?: unknown;
  examples?: unknown[];
  minimum?: number;
  maximum?: number;
  pattern?: string;
  format?: string;
  [extension: `x-${string}`]: unknown;
}

export class Schemas {
  constructor(private readonly all: Record<string, Schema>) {}

  named(name: string): Schema {
    return this.all[name] ?? {};
  }

  // A schema with what it refers to in its place; what stands beside the reference is kept.
  resolved(schema: Schema): Schema {
    if (!schema.$ref) return schema;
    const { $ref, ...beside } = schema;
    return { ...this.named($ref.split("/").at(-1)!), ...beside };
  }

  // The settings of a type of datasource or integration.
  settings(spec: string, type: string): Schema {
    const types = this.named(spec).properties?.configuration?.["x-by-type"] as Record<string, string> | undefined;
    const found = types?.[type];
    return found ? this.resolved({ $ref: found }) : {};
  }
}

export type Kind = "text" | "secret" | "choice" | "number" | "switch" | "texts" | "map" | "object" | "variant" | "maybe" | "objects" | "json";

export function kindOf(schema: Schema): Kind {
  if (schema.discriminator || (schema.anyOf && schema.anyOf.length > 1 && schema.anyOf.every((each) => each.$ref))) return schema.discriminator ? "variant" : "json";
  const real = schema.anyOf?.filter((each) => each.type !== "null");
  if (schema.anyOf) return real?.length === 1 ? "maybe" : "json";
  if (schema.enum) return "choice";
  if (schema.format === "password") return "secret";
  if (schema.type === "boolean") return "switch";
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "string") return "text";
  if (schema.type === "array") return schema.items?.type === "string" ? "texts" : schema.items?.$ref ? "objects" : "json";
  if (schema.type === "object" && schema.properties && Object.keys(schema.properties).length) return "object";
  const more = schema.additionalProperties;
  if (schema.type === "object" && typeof more === "object" && more.type === "string") return "map";
  return "json";
}

// "maxFrameLength" as people write it, where a schema has no title.
export function spoken(name: string): string {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// The properties in the order of a form: what must be said, what often is, and what is folded away.
export function ordered(schema: Schema): { first: string[]; advanced: string[] } {
  const names = Object.keys(schema.properties ?? {});
  const required = new Set(schema.required ?? []);
  const isAdvanced = (name: string) => !required.has(name) && schema.properties![name]!["x-advanced"] === true;
  const first = names.filter((name) => !isAdvanced(name));
  return { first: [...first.filter((name) => required.has(name)), ...first.filter((name) => !required.has(name))], advanced: names.filter(isAdvanced) };
}

// A problem that the gateway found, at the field that it is about.
export function problemAt(problems: { path: string; problem: string }[], path: string): string | undefined {
  return problems.find((each) => each.path === path)?.problem;
}
