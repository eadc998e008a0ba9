/** The package's main entry: everything that is public and follows semantic versioning. */
export {
  type Implementation,
  WhatsappSmsFallbackModule,
  type WhatsappSmsFallbackOptions,
  type WhatsappSmsFallbackParts,
} from './whatsapp-sms-fallback.module.js';

// `export *` lets other applications merge their events into DomainEvents.
export * from './domain-events/domain-event.js';
export { type DeliveryTime, DomainEventPublisher } from './domain-events/domain-events.js';
export { OnDomainEvent } from './domain-events/on-domain-event.decorator.js';
export type { SmsFallbackEnded } from './fallback/fallback.events.js';
export type {
  MessageStatusRecorded,
  MessageStatusReport,
  SmsNeverSent,
} from './message-events/message-status-report.js';
export type { WhatsappPolicyFailed } from './message-events/policy-failure.js';

export { EventNotStoredError, MessageEventsService } from './message-events/message-events.service.js';
export type { RecordedEvent } from './message-events/message-events.store.js';

export { at, FallbackPolicy, type PolicyDecision, send, skip } from './fallback/fallback-policy.js';
export {
  type AcceptedSearch,
  type AcceptedSms,
  type SendResult,
  type Sms,
  SmsSender,
} from './fallback/sms-sender.js';
export type { Refusal } from './messages/application-tables.js';
export {
  MessageRecorder,
  type SentSms,
  type SmsRecording,
  type StatusRecording,
} from './messages/message-recorder.js';
export { type OriginalMessage, OriginalMessages } from './messages/original-messages.js';
export type { SendError, SendOutcome } from './twilio/send-error.js';

export { TwilioAccounts } from './twilio/twilio-accounts.js';
export type { TwilioAccount, WebhookSharedKey } from './twilio/twilio.module-definition.js';
export { Callback, type SignedCallback } from './webhooks/callback-request.js';
export { TwilioSignatureGuard } from './webhooks/twilio-signature.guard.js';

export { StartupError } from './process/startup-error.js';
