/** What tests of an application that uses the service import. The service itself never imports it. */

export type { DatabaseConnection } from '../src/database/database-connection.js';
export type { EmbeddedPostgresOptions } from '../src/database/embedded-postgres.js';
export type { SmsFallbackState } from '../src/fallback/sms-fallback-state.js';

export type { ConformanceCase, ConformanceSetup } from './conformance.js';
export { type EmbeddedTestDatabase, startEmbeddedPostgres } from './embedded-postgres.js';
export {
  fallbackPolicyConformance,
  type FallbackPolicySetup,
  type PolicyQuestion,
} from './fallback-policy-conformance.js';
export { type InMemorySms, InMemorySmsSender } from './in-memory-sms-sender.js';
export {
  messageRecorderConformance,
  type MessageRecorderSetup,
  type RecordedMessage,
} from './message-recorder-conformance.js';
export {
  type MessageToStore,
  originalMessagesConformance,
  type OriginalMessagesSetup,
} from './original-messages-conformance.js';
export { smsSenderConformance, type SmsSenderSetup } from './sms-sender-conformance.js';
export { type Fallback, untilFallback, type UntilFallbackOptions } from './until-fallback.js';

export type { AccountResources } from '../simulator/account-api.js';
export type { SenderRefusal } from '../simulator/api-errors.js';
export type { ApiRequest } from '../simulator/api-request.js';
export {
  smsStatusParameters,
  type StatusCallback,
  whatsappStatusParameters,
} from '../simulator/callback-parameters.js';
export * from '../simulator/callback-plan.js';
export type { CallbackAttempt } from '../simulator/callback-sender.js';
export { demoAccount } from '../simulator/demo-account.js';
export type { AcceptedFault, Fault, FaultRule, RequestFault } from '../simulator/faults.js';
export type { FormParameters } from '../simulator/form-parameters.js';
export type { HttpAnswer } from '../simulator/http-post.js';
export type { Redaction } from '../simulator/message-resource.js';
export type { ExistingMessage } from '../simulator/message-store.js';
export type { SimulatedMessage } from '../simulator/message.js';
export {
  type SharedKey,
  type SignedRequest,
  signRequest,
  type UnsignedCallback,
} from '../simulator/signed-request.js';
export type {
  SendCallbackOptions,
  SimulatorEvents,
  SimulatorOptions,
  WhatsappMessage,
} from '../simulator/simulator-types.js';
export { TwilioSimulator } from '../simulator/twilio-simulator.js';
