import { parse, stringify } from 'node:querystring';

/** Decoded form or query parameters by name; a repeated name has an array. */
export type FormParameters = Readonly<Record<string, string | readonly string[]>>;

/** Decodes `a=1&b=2`. Names in brackets stay as they are: `Meta[x]` is a name, not a structure. */
export function parseForm(text: string): FormParameters {
  // 0: no limit on the number of parameters (the default drops those after the 1000th).
  const parameters: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(parse(text, '&', '=', { maxKeys: 0 }))) {
    if (value !== undefined) parameters[name] = typeof value === 'string' ? value : [...value];
  }
  return parameters;
}

/** Encodes `{ a: '1', b: ['2', '3'] }` as `a=1&b=2&b=3`. */
export function formatForm(parameters: FormParameters): string {
  return stringify(parameters);
}

/** The first value of a parameter; undefined if it is missing or empty, which Twilio treats alike. */
export function firstValue(parameters: FormParameters, name: string): string | undefined {
  const value = parameters[name];
  const first = typeof value === 'string' ? value : value?.[0];
  return first === '' ? undefined : first;
}
