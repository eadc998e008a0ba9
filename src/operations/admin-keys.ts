import { Inject, Injectable } from '@nestjs/common';
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { MODULE_OPTIONS_TOKEN, type OperationsModuleOptions } from './operations.module-definition.js';

interface AdminKey {
  /** Can stand in a log: the name that the operator gave, else the beginning of the digest. */
  readonly name: string;
  readonly digest: Buffer;
}

/** The keys of the operators. Only their digests are kept. */
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
   * Takes the same time for every candidate, so that nothing can be learned from it.
   * @returns the name of the key; null if it is none of the keys.
   */
  identify(candidate: string): string | null {
    const digest = digestOf(candidate);
    const matches = this.keys.filter((known) => timingSafeEqual(known.digest, digest));
    return matches[0]?.name ?? null;
  }

  /**
   * Signs with the key of that name, so that every replica can check it, and nobody can any more once the key is gone.
   * @returns null if there is no such key.
   */
  sign(keyName: string, text: string): Buffer | null {
    const key = this.keys.find(({ name }) => name === keyName);
    if (key === undefined) return null;
    const secret = Buffer.from(hkdfSync('sha256', key.digest, '', 'whatsapp-sms-fallback session', 32));
    return createHmac('sha256', secret).update(text).digest();
  }
}

/** `key`, or `name:key`. A key may contain a colon itself, so the whole text is let in under the same name. */
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

/** Of one length for all keys, which timingSafeEqual needs. */
function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
