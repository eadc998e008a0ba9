import { Inject, Injectable } from '@nestjs/common';
import { createHash, timingSafeEqual } from 'node:crypto';
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
    return matches.length > 0 ? digest.toString('hex').slice(0, 8) : null;
  }
}

/** Of one length for all keys, which timingSafeEqual needs. */
function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
