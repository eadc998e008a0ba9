import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';

/** The data of a callback that the peers store: the columns that the operator's queries need, and all parameters. */
export interface EventRow {
  readonly messageSid: string;
  readonly messageStatus: string;
  readonly channel: string;
  readonly toNumber: string | null;
  readonly fromNumber: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly accountSid: string;
  readonly payload: Readonly<Record<string, string>>;
}

export function toEventRow(parameters: Readonly<Record<string, string>>): EventRow {
  const { To: to, From: from, MessageSid: sid = '', MessageStatus: status = '' } = parameters;
  return {
    messageSid: sid,
    messageStatus: status,
    channel: to?.startsWith('whatsapp:') === true ? 'whatsapp' : 'sms',
    toNumber: to?.replace('whatsapp:', '') ?? null,
    fromNumber: from?.replace('whatsapp:', '') ?? null,
    errorCode: parameters.ErrorCode ?? null,
    errorMessage: parameters.ErrorMessage ?? null,
    accountSid: parameters.AccountSid ?? '',
    payload: parameters,
  };
}

/** `message_events` as an entity that is written through a repository. */
@Entity('message_events')
@Unique(['messageSid', 'messageStatus'])
export class StoredEvent implements EventRow {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column('text', { name: 'message_sid' })
  messageSid!: string;

  @Column('text', { name: 'message_status' })
  messageStatus!: string;

  @Column('text')
  channel!: string;

  @Column('text', { name: 'to_number', nullable: true })
  toNumber!: string | null;

  @Column('text', { name: 'from_number', nullable: true })
  fromNumber!: string | null;

  @Column('text', { name: 'error_code', nullable: true })
  errorCode!: string | null;

  @Column('text', { name: 'error_message', nullable: true })
  errorMessage!: string | null;

  @Column('text', { name: 'account_sid' })
  accountSid!: string;

  @Column('jsonb')
  payload!: Record<string, string>;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;
}
