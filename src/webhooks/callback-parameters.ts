import { parseForm } from './parse-form.js';

/** A parameter of a form is a string, or several where its name is repeated; of a JSON body, any JSON. */
export type CallbackParameters = Readonly<Record<string, unknown>>;

export type BodyForm = 'form' | 'json';

/** A JSON body that is no object has none, and so it names no account whose token could have signed it. */
export function readParameters(body: string, form: BodyForm): CallbackParameters {
  return form === 'json' ? readJson(body) : parseForm(body);
}

function readJson(body: string): CallbackParameters {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is CallbackParameters {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
