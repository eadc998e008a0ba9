import { parseForm } from './parse-form.js';

/** A parameter of a form is a string, or several if its name is repeated; in a JSON body, any JSON. */
export type CallbackParameters = Readonly<Record<string, unknown>>;

export type BodyForm = 'form' | 'json';

export interface CallbackContent {
  /** Every parameter as received; none for a JSON body that is not an object. */
  readonly parameters: CallbackParameters;
  /** The items of a JSON array; null for any other body. */
  readonly list: readonly unknown[] | null;
}

export function readContent(body: string, form: BodyForm): CallbackContent {
  return form === 'json' ? readJson(body) : { parameters: parseForm(body), list: null };
}

function readJson(body: string): CallbackContent {
  try {
    const value: unknown = JSON.parse(body);
    if (Array.isArray(value)) return { parameters: {}, list: value };
    return { parameters: isObject(value) ? value : {}, list: null };
  } catch {
    return { parameters: {}, list: null };
  }
}

export function isObject(value: unknown): value is CallbackParameters {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
