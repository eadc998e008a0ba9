import { Injectable } from '@nestjs/common';
import {
  at,
  FallbackPolicy,
  type OriginalMessage,
  type PolicyDecision,
  send,
  skip,
  type WhatsappPolicyFailed,
} from 'whatsapp-sms-fallback';

/** 63024 leads to an SMS for tenant A only, and tenant B sends none between 21:00 and 08:00 UTC. */
@Injectable()
export class Rules extends FallbackPolicy {
  now = (): Date => new Date();

  decide({ errorCode }: WhatsappPolicyFailed, { company }: OriginalMessage): PolicyDecision {
    if (errorCode === '63024' && company?.id !== 'A') return skip('not_for_this_tenant');
    const now = this.now();
    const isNight = now.getUTCHours() >= 21 || now.getUTCHours() < 8;
    return company?.id === 'B' && isNight ? at(nextMorning(now)) : send;
  }
}

function nextMorning(now: Date): Date {
  const days = now.getUTCHours() < 8 ? 0 : 1;
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + days, 8));
}
