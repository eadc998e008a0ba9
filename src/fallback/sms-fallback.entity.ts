import { Check, Column, CreateDateColumn, Entity, Index, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { IS_ENDED, IS_KNOWN_STATE, IS_OPEN, type SmsFallbackState } from './sms-fallback-state.js';

/** An attempt that is known to have failed, so that another one may follow it. */
export interface EarlierAttempt {
  /** When it was handed to Twilio, ISO 8601. */
  readonly at: string;
  readonly from: string | null;
  readonly messagingServiceSid: string | null;
  /**
   * - `sender_refused`: Twilio does not send from this sender;
   * - `never_sent`: Twilio accepted the SMS, and reported later that it never sent it.
   */
  readonly outcome: 'sender_refused' | 'never_sent';
  /** Twilio's error code. */
  readonly code: string;
  readonly smsMessageSid: string | null;
}

/** The SMS fallback of one WhatsApp message. FallbackStore writes the rows. */
@Entity('sms_fallbacks')
@Unique('sms_fallbacks_original_message_sid_key', ['originalMessageSid'])
@Unique('sms_fallbacks_sms_message_sid_key', ['smsMessageSid'])
@Check('sms_fallbacks_state_check', IS_KNOWN_STATE)
@Check('sms_fallbacks_reason_check', `reason is not null or state not in ('skipped', 'failed')`)
@Index('sms_fallbacks_paced_idx', ['pacedBy', 'sendBefore'], { where: 'paced_by is not null' })
@Index('sms_fallbacks_open_idx', ['nextAttemptAt'], { where: IS_OPEN })
@Index('sms_fallbacks_created_at_idx', [
  'createdAt',
  'id',
  'state',
  'reason',
  'lastErrorCode',
  'smsDeliveredAt',
])
@Index('sms_fallbacks_state_idx', ['state', 'createdAt', 'id'])
@Index('sms_fallbacks_undelivered_idx', ['createdAt', 'id'], {
  where: 'sms_undelivered_at is not null and sms_delivered_at is null',
})
@Index('sms_fallbacks_to_number_idx', ['toNumber'], { where: 'to_number is not null' })
@Index('sms_fallbacks_user_id_idx', ['userId'], { where: 'user_id is not null' })
@Index('sms_fallbacks_parent_user_id_idx', ['parentUserId'], { where: 'parent_user_id is not null' })
@Index('sms_fallbacks_retried_at_idx', ['retriedAt'], { where: 'retried_at is not null' })
@Index('sms_fallbacks_in_doubt_idx', ['updatedAt'], {
  where: `state = 'failed' and reason = 'no_answer_from_twilio'`,
})
@Index('sms_fallbacks_not_erased_idx', ['createdAt'], {
  where: `erased_at is null and ${IS_ENDED}`,
})
export class SmsFallback {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'sms_fallbacks_pkey' })
  id!: string;

  @Column('text', { name: 'original_message_sid' })
  originalMessageSid!: string;

  /** The first event that triggered it. */
  @Column('uuid', { name: 'message_event_id' })
  messageEventId!: string;

  @Column('text', { name: 'account_sid' })
  accountSid!: string;

  @Column('text', {
    default: 'claimed',
    comment:
      "claimed: work to do; sending: the intent is committed, the SMS may be on its way; uncertain: Twilio's answer was lost, being settled; sent, skipped, failed: ends",
  })
  state!: SmsFallbackState;

  /** Why it ended as `skipped` or `failed`, or waits. */
  @Column('text', { nullable: true })
  reason!: string | null;

  /** How many times the SMS was handed to Twilio. */
  @Column('integer', { default: 0 })
  attempts!: number;

  @Column('integer', {
    name: 'unanswered_attempts',
    default: 0,
    comment: 'how many attempts may have been accepted, for want of an answer',
  })
  unansweredAttempts!: number;

  @Column('timestamptz', {
    name: 'unanswered_since',
    nullable: true,
    comment: 'when the first of them began',
  })
  unansweredSince!: Date | null;

  @Column('text', { name: 'to_number', nullable: true })
  toNumber!: string | null;

  @Column('text', {
    name: 'user_id',
    nullable: true,
    comment: "WhatsApp's business-scoped ID of the recipient",
  })
  userId!: string | null;

  @Column('text', {
    name: 'parent_user_id',
    nullable: true,
    comment: 'the ID of the recipient for the parent business',
  })
  parentUserId!: string | null;

  @Column('text', {
    name: 'conversation_id',
    nullable: true,
    comment: 'conversations.id of the original, for the row of the SMS in messages',
  })
  conversationId!: string | null;

  @Column('text', { name: 'from_number', nullable: true })
  fromNumber!: string | null;

  @Column('text', { name: 'messaging_service_sid', nullable: true })
  messagingServiceSid!: string | null;

  /** The text of the SMS; set before it is sent. */
  @Column('text', { nullable: true })
  body!: string | null;

  /** True if the original's text was cut to fit into an SMS. */
  @Column('boolean', { default: false })
  truncated!: boolean;

  @Column('text', { nullable: true, comment: 'GSM-7 or UCS-2' })
  encoding!: string | null;

  @Column('integer', { nullable: true, comment: 'how many SMS the text takes, as Twilio counts them' })
  segments!: number | null;

  @Column('text', {
    name: 'not_carried_over',
    array: true,
    default: '{}',
    comment: 'parts of the WhatsApp message that the SMS lacks: media, buttons, …',
  })
  notCarriedOver!: string[];

  @Column('timestamptz', {
    name: 'original_sent_at',
    nullable: true,
    comment: 'when the WhatsApp message was sent; its age is measured from then',
  })
  originalSentAt!: Date | null;

  @Column('boolean', {
    name: 'age_limit_ignored',
    default: false,
    comment: 'an operator asked for the SMS however old the message is',
  })
  ageLimitIgnored!: boolean;

  @Column('jsonb', {
    name: 'earlier_attempts',
    default: [],
    comment:
      'attempts that are known to have failed, oldest first: at, from, messagingServiceSid, outcome, code, smsMessageSid',
  })
  earlierAttempts!: EarlierAttempt[];

  @Column('uuid', {
    name: 'duplicate_of',
    nullable: true,
    comment: 'the fallback whose SMS had the same text for the same person',
  })
  duplicateOf!: string | null;

  /** The URL for the SMS's own status callbacks, without the query that names this fallback. */
  @Column('text', { name: 'status_callback_url', nullable: true })
  statusCallbackUrl!: string | null;

  @Column('text', { name: 'sms_message_sid', nullable: true })
  smsMessageSid!: string | null;

  /**
   * The error code of Twilio or of the network; for a fallback that became too late in an outage, the reason of the
   * outage.
   */
  @Column('text', { name: 'last_error_code', nullable: true })
  lastErrorCode!: string | null;

  @Column('text', { name: 'last_error', nullable: true })
  lastError!: string | null;

  @Column('timestamptz', { name: 'next_attempt_at', default: () => 'now()' })
  nextAttemptAt!: Date;

  @Column('timestamptz', { name: 'attempt_started_at', nullable: true })
  attemptStartedAt!: Date | null;

  @Column('timestamptz', {
    name: 'locked_until',
    nullable: true,
    comment: 'until then a worker has this row to itself',
  })
  lockedUntil!: Date | null;

  @Column('timestamptz', { name: 'sent_at', nullable: true })
  sentAt!: Date | null;

  @Column('timestamptz', {
    name: 'sms_delivered_at',
    nullable: true,
    comment: 'when the SMS was reported as delivered; set about a second later',
  })
  smsDeliveredAt!: Date | null;

  @Column('timestamptz', {
    name: 'sms_undelivered_at',
    nullable: true,
    comment: 'when the SMS was reported as failed or undelivered; set about a second later',
  })
  smsUndeliveredAt!: Date | null;

  @Column('text', { name: 'sms_error_code', nullable: true, comment: 'the error code of that report' })
  smsErrorCode!: string | null;

  @Column('timestamptz', {
    name: 'retried_at',
    nullable: true,
    comment: 'when it was last tried again on purpose; its waits are counted from then',
  })
  retriedAt!: Date | null;

  @Column('text', {
    name: 'retried_by',
    nullable: true,
    comment: 'who last asked for another try: key:<name of the API key>, or cli:<user>@<host>',
  })
  retriedBy!: string | null;

  @Column('timestamptz', {
    name: 'due_since',
    nullable: true,
    comment:
      'since when its SMS is due, if that is later than its claim: after a hold, or after an SMS that was never sent',
  })
  dueSince!: Date | null;

  @Column('text', {
    name: 'paced_by',
    nullable: true,
    comment: 'the key of sms_senders whose pace it waits for',
  })
  pacedBy!: string | null;

  @Column('timestamptz', {
    name: 'send_before',
    nullable: true,
    comment: 'its deadline while it waits: when the original is too old',
  })
  sendBefore!: Date | null;

  @Column('text', {
    name: 'admitted_by',
    nullable: true,
    comment: 'the key of sms_senders that lets it send now',
  })
  admittedBy!: string | null;

  @Column('timestamptz', {
    name: 'duplicate_delivery_at',
    nullable: true,
    comment: 'when WhatsApp delivered the original after all',
  })
  duplicateDeliveryAt!: Date | null;

  @Column('timestamptz', {
    name: 'erased_at',
    nullable: true,
    comment: 'when the number and the text were blanked; nothing can be sent since',
  })
  erasedAt!: Date | null;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;

  @Column('uuid', { name: 'message_id', nullable: true, comment: 'the row of messages of the SMS' })
  messageId!: string | null;
}
