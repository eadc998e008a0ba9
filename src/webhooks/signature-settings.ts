/** The header with which Twilio names the shared key of a signature: `key=<key ID>,algorithm=HMAC_SHA256`. */
export const SIGNATURE_SETTINGS_HEADER = 'x-twilio-webhooks-signature-settings';

export const SHARED_KEY_ALGORITHM = 'HMAC_SHA256';

/** An ID has about 60 characters; the log shows no more of a longer one. */
const SHOWN_CHARACTERS = 80;

const NAMES = ['key', 'algorithm'] as const;

/** The ID of the shared key that signed a request, or what is wrong with the header. */
export type SignatureSettings = { readonly keyId: string } | { readonly fault: string };

/**
 * Reads the signature settings of a request. This is stricter than `getSignatureAlgorithm` of Twilio's library: an
 * ambiguous or non-HMAC-SHA256 setting never leads to a check with another key or algorithm. Unknown parts are ignored.
 * @param headers each value of the header, as it was sent.
 */
export function readSignatureSettings(headers: readonly string[]): SignatureSettings {
  const [header = '', ...others] = headers;
  if (others.length > 0) return faulty('came more than once');
  const parts = header.split(',').map(readPart);
  for (const { name } of parts) {
    const [meant] = NAMES.filter((known) => known === name.toLowerCase() && known !== name);
    if (meant !== undefined) return faulty(`has ${shown(name)} instead of ${meant}`);
  }
  const values = NAMES.map((known) => parts.filter(({ name }) => name === known).map(({ value }) => value));
  for (const [index, name] of NAMES.entries()) {
    const [value, ...repeated] = values[index] ?? [];
    if (value === undefined) return faulty(`has no ${name}`);
    if (repeated.length > 0) return faulty(`has more than one ${name}`);
    if (value === '') return faulty(`has an empty ${name}`);
  }
  const [[keyId = ''] = [], [algorithm = ''] = []] = values;
  if (algorithm === SHARED_KEY_ALGORITHM) return { keyId };
  return faulty(`names the algorithm ${shown(algorithm)}: only ${SHARED_KEY_ALGORITHM} is accepted`);
}

/** Makes the text of a request header safe for the log. */
export function shown(text: string): string {
  const visible = text.replaceAll(/[^\x21-\x7e]/g, '?');
  return visible.length > SHOWN_CHARACTERS ? `${visible.slice(0, SHOWN_CHARACTERS)}…` : visible;
}

function readPart(part: string): { readonly name: string; readonly value: string } {
  const equals = part.indexOf('=');
  if (equals === -1) return { name: part.trim(), value: '' };
  return { name: part.slice(0, equals).trim(), value: part.slice(equals + 1).trim() };
}

function faulty(what: string): SignatureSettings {
  return { fault: `its X-Twilio-Webhooks-Signature-Settings header ${what}` };
}
