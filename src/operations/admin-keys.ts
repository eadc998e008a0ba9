import { ConfigurableModuleBuilder, Inject, Injectable } from '@nestjs/common';
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

export interface OperationsModuleOptions {
  /**
   * Keys that give access to the API. A key may follow a name for the log: `alice:key`; the whole text is then a key,
   * too. Without keys, every route answers 404. Default: none.
   */
  adminApiKeys?: readonly string[];
  /**
   * How many requests per minute from one address without a valid key this process logs and answers 401; the rest get
   * 429. Default 10.
   */
  refusalsPerMinute?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<OperationsModuleOptions>().setClassMethodName('forRoot').build();

interface AdminKey {
  /** Safe to log: the name that the operator gave, else the beginning of the digest. */
  readonly name: string;
  readonly digest: Buffer;
}

/** The operators' keys. Only their digests are kept. */
@Injectable()
export class AdminKeys {
  private readonly keys: readonly AdminKey[];

  constructor(@Inject(MODULE_OPTIONS_TOKEN) { adminApiKeys = [] }: OperationsModuleOptions) {
    this.keys = adminApiKeys.flatMap(parse);
  }

  get areConfigured(): boolean {
    return this.keys.length > 0;
  }

  /**
   * Finds a key in constant time, so that timing reveals nothing.
   * @returns the name of the key; null for a wrong key.
   */
  identify(candidate: string): string | null {
    const digest = digestOf(candidate);
    const matches = this.keys.filter((known) => timingSafeEqual(known.digest, digest));
    return matches[0]?.name ?? null;
  }

  /**
   * Signs with the key of that name, so that every replica can verify it until the key is removed.
   * @returns null if there is no such key.
   */
  sign(keyName: string, text: string): Buffer | null {
    const key = this.keys.find(({ name }) => name === keyName);
    if (key === undefined) return null;
    const secret = Buffer.from(hkdfSync('sha256', key.digest, '', 'whatsapp-sms-fallback session', 32));
    return createHmac('sha256', secret).update(text).digest();
  }
}

/** Parses `key` or `name:key`. A key may contain a colon itself, so the whole text is also a key of that name. */
function parse(text: string): AdminKey[] {
  const whole = digestOf(text);
  const [, name, key] = /^([\w-]{1,32}):(.+)$/.exec(text) ?? [];
  if (name === undefined || key === undefined) {
    return [{ name: whole.toString('hex').slice(0, 8), digest: whole }];
  }
  return [
    { name, digest: digestOf(key) },
    { name, digest: whole },
  ];
}

/** The digest has the same length for all keys, which timingSafeEqual needs. */
function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
