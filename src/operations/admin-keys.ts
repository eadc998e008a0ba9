import { Inject, Injectable } from '@nestjs/common';
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { MODULE_OPTIONS_TOKEN, type OperationsModuleOptions } from './operations.module-definition.js';

/** The keys of the operators. Only their digests are kept. */
@Injectable()
export class AdminKeys {
  private readonly digests: readonly Buffer[];

  constructor(@Inject(MODULE_OPTIONS_TOKEN) { adminApiKeys = [] }: OperationsModuleOptions) {
    this.digests = adminApiKeys.map(digestOf);
  }

  get areConfigured(): boolean {
    return this.digests.length > 0;
  }

  /**
   * Takes the same time for every candidate, so that nothing can be learned from it.
   * @returns a name for the key that can stand in a log; null where it is none of the keys.
   */
  identify(candidate: string): string | null {
    const digest = digestOf(candidate);
    const matches = this.digests.filter((known) => timingSafeEqual(known, digest));
    return matches.length > 0 ? nameOf(digest) : null;
  }

  /**
   * Signs with the key of that name, so that every replica can check it, and nobody can any more once the key is gone.
   * @returns null where there is no such key.
   */
  sign(keyName: string, text: string): Buffer | null {
    const digest = this.digests.find((known) => nameOf(known) === keyName);
    if (digest === undefined) return null;
    const secret = Buffer.from(hkdfSync('sha256', digest, '', 'whatsapp-sms-fallback session', 32));
    return createHmac('sha256', secret).update(text).digest();
  }
}

/** A name for the key that can stand in a log. */
function nameOf(digest: Buffer): string {
  return digest.toString('hex').slice(0, 8);
}

/** Of one length for all keys, which timingSafeEqual needs. */
function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
