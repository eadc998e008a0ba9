import { Injectable } from '@nestjs/common';
import { OnDomainEvent, type MessageStatusRecorded, type SmsFallbackEnded } from 'whatsapp-sms-fallback';

/** The team's own mail. */
export abstract class Mail {
  abstract send(mail: { key: string; about: string; why: string }): Promise<void>;
}

/** WhatsApp failed, then the SMS: the person gets an e-mail. */
@Injectable()
export class EmailAfterSms {
  constructor(private readonly mail: Mail) {}

  /** No SMS could be sent. */
  @OnDomainEvent('sms_fallback.ended')
  async onEnded({ id, state, reason, originalMessageSid }: SmsFallbackEnded): Promise<void> {
    if (state === 'failed') await this.mail.send({ key: id, about: originalMessageSid, why: reason ?? '' });
  }

  /** The SMS was sent and not delivered. Published for what `statusRecorded` selects, see the test. */
  @OnDomainEvent('message.status_recorded')
  async onStatus({ id, messageSid, errorCode }: MessageStatusRecorded): Promise<void> {
    await this.mail.send({ key: id, about: messageSid, why: errorCode ?? 'undelivered' });
  }
}
