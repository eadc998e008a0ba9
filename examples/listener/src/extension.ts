import { Injectable } from '@nestjs/common';
import { OnDomainEvent, type WhatsappPolicyFailed } from 'whatsapp-sms-fallback';

/** The team's own help desk. */
export abstract class HelpDesk {
  abstract open(ticket: { key: string; subject: string }): Promise<void>;
}

/** Opens a ticket for each failure. If it rejects, it alone receives the event again; the SMS is not sent again. */
@Injectable()
export class Tickets {
  constructor(private readonly helpDesk: HelpDesk) {}

  @OnDomainEvent('whatsapp.policy_failed')
  async open({ id, messageSid, errorCode }: WhatsappPolicyFailed): Promise<void> {
    await this.helpDesk.open({ key: id, subject: `WhatsApp refused ${messageSid}: ${errorCode}` });
  }
}
