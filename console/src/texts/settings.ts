// What settings are called and what they are for. The API's description says both in English; what that is in German is in settings.de.json, by the English
// text, and comes when a form is first opened.
import type { Schema } from "../core/schema";

export interface SettingsTexts {
  titles: Record<string, string>;
  descriptions: Record<string, string>;
}

// The schemas with the texts of their properties in another language; a text that has no translation stays as it is.
export function translated(schemas: Record<string, Schema>, texts: SettingsTexts): Record<string, Schema> {
  const one = (schema: Schema): Schema => {
    const { title, description } = schema;
    return { ...schema, ...(title && { title: texts.titles[title] ?? title }), ...(description && { description: texts.descriptions[description] ?? description }) };
  };
  const each = <From, To>(of: Record<string, From>, made: (from: From) => To) => Object.fromEntries(Object.entries(of).map(([name, from]) => [name, made(from)]));
  return each(schemas, (schema) => (schema.properties ? { ...schema, properties: each(schema.properties, one) } : schema));
}
