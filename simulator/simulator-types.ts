import type { AccountResources } from './account-api.js';
import type { SenderRefusal } from './api-errors.js';
import type { ApiRequest } from './api-request.js';
import type { CallbackPlan, CallbackStep } from './callback-plan.js';
import type { CallbackAttempt, CallbackSenderOptions } from './callback-sender.js';
import type { FormParameters } from './form-parameters.js';
import type { Redaction } from './message-resource.js';
import type { SimulatedMessage } from './message.js';
import type { SharedKey, SignedRequest } from './signed-request.js';

export interface SimulatorOptions extends Omit<CallbackSenderOptions, 'onAttempt'> {
  /** The numbers, Messaging Services and templates that the accounts have; default: none. */
  readonly resources?: AccountResources;
  /** Auth tokens by account SID; default: the demo account. */
  readonly accounts?: Readonly<Record<string, string>>;
  /** Default 0: a free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** The plan of each created message; default `delivered`: (queued,) sent, delivered. */
  readonly callbackPlan?: CallbackPlan;
  /** Milliseconds before an accepted message shows in GET list; default 0. */
  readonly listDelayMilliseconds?: number;
  /** Refusals of POST Messages by `From` or Messaging Service SID; default: no sender is refused. */
  readonly refusedSenders?: Readonly<Record<string, SenderRefusal>>;
  /** The data that GET hides; default `none`. */
  readonly redaction?: Redaction;
  /** Signs every callback instead of the tokens, like a Rule on the account; default: the tokens sign. */
  readonly sharedKey?: SharedKey;
}

/** The events of a simulator: names with the arguments of their listeners. */
export interface SimulatorEvents {
  /** A request has reached the API; it is not answered yet. */
  request: [ApiRequest];
  /** A message was accepted through POST Messages. */
  message: [SimulatedMessage];
  /** A callback was sent and answered, or got no answer. */
  callback: [CallbackAttempt];
}

export interface SendCallbackOptions {
  /** The public URL as it would be given to Twilio, with its query and `#rc=…`. */
  readonly url: string;
  readonly parameters: FormParameters;
  /** The account whose token signs; default: the AccountSid of the parameters, else the first account. */
  readonly accountSid?: string;
  /** Default `form`. */
  readonly format?: 'form' | 'json';
  /** Signs with this token instead of the account's or the simulator's shared key. */
  readonly signWith?: string;
  /** Signs with this key; default: the simulator's, if it has one. */
  readonly sharedKey?: SharedKey;
  /** Changes the request after it has been signed: another body, another header, no signature. */
  readonly tamper?: (request: SignedRequest) => SignedRequest;
}

/** The dates default to now, and to the time of sending. */
export interface WhatsappMessage extends Partial<
  Pick<
    SimulatedMessage,
    | 'contentSid'
    | 'dateCreated'
    | 'dateSent'
    | 'externalUserId'
    | 'mediaCount'
    | 'messagingServiceSid'
    | 'parentExternalUserId'
  >
> {
  /** Default: the simulator's first account. */
  readonly accountSid?: string;
  /** Default: a new one. */
  readonly sid?: string;
  /** `whatsapp:+14155238886` */
  readonly from: string;
  /** `whatsapp:+15551230000`, or a user ID: `whatsapp:US.13491208655302741918` */
  readonly to: string;
  /** The rendered text, as GET returns it. */
  readonly body: string;
  /** The URL of its callbacks; without one no callback is sent. */
  readonly statusCallback?: string;
  /** Its steps or plan; default `delivered`. */
  readonly steps?: readonly CallbackStep[] | CallbackPlan;
}
