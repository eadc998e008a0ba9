import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type OriginalMessage, OriginalMessages } from 'whatsapp-sms-fallback';

interface Row {
  id: string;
  text: string;
  tenant: string;
  sender: string | null;
}

/** Finds originals in `outbox (id bigint, sid, text, tenant)`, and the sender in `tenants (name, sender)`. */
@Injectable()
export class Outbox extends OriginalMessages {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async findByTwilioSid(sid: string): Promise<OriginalMessage | null> {
    const sql = `select id::text, text, tenant, sender from outbox left join tenants on name = tenant where sid = $1`;
    const [row] = await this.dataSource.query<Row[]>(sql, [sid]);
    if (row === undefined) return null;
    const { id, text: body, tenant, sender: phoneNumber } = row;
    return { id, body, conversationId: null, company: { id: tenant, phoneNumber } };
  }
}
