import { EventEmitter } from 'node:events';
import type { AccountResources } from './account-api.js';
import type { SenderRefusal } from './api-errors.js';
import type { ApiRequest } from './api-request.js';
import { CallbackPlayer } from './callback-player.js';
import { delivered } from './callback-plan.js';
import type { CallbackPlan } from './callback-plan.js';
import { CallbackSender } from './callback-sender.js';
import type { CallbackAttempt } from './callback-sender.js';
import { demoAccount } from './demo-account.js';
import { FaultQueue } from './faults.js';
import type { FaultRule } from './faults.js';
import { firstValue } from './form-parameters.js';
import type { HttpAnswer } from './http-post.js';
import { LocalServer } from './local-server.js';
import { MessageStore } from './message-store.js';
import type { ExistingMessage } from './message-store.js';
import type { Redaction } from './message-resource.js';
import type { SimulatedMessage } from './message.js';
import { messagesApi } from './messages-api.js';
import type { SharedKey } from './signed-request.js';
import type {
  SendCallbackOptions,
  SimulatorEvents,
  SimulatorOptions,
  WhatsappMessage,
} from './simulator-types.js';

/**
 * A fake Twilio on a port of this computer: its Messages API, and signed status callbacks for accepted messages. Emits
 * `request`, `message` and `callback` (see `SimulatorEvents`) as things happen.
 */
export class TwilioSimulator extends EventEmitter<SimulatorEvents> {
  /** Every request that reached the API, oldest first. */
  readonly requests: ApiRequest[] = [];
  /** Every message accepted through POST Messages, oldest first; not those of addMessage and sendWhatsapp. */
  readonly messages: SimulatedMessage[] = [];
  /** Every HTTP request for a callback, including retries, in the order of their ends. */
  readonly callbacks: CallbackAttempt[] = [];
  /** The plan of messages created from now on. */
  callbackPlan: CallbackPlan;
  /** Milliseconds before a message shows in GET list; Infinity for never. Read for each list request. */
  listDelayMilliseconds: number;
  /** Refusals of POST Messages from now on, by `From` or Messaging Service SID. */
  readonly refusedSenders: Map<string, SenderRefusal>;
  /** The data that GET hides from now on. */
  redaction: Redaction;
  /** The key that signs callbacks from now on; undefined for the accounts' tokens. */
  sharedKey: SharedKey | undefined;

  readonly #resources: AccountResources;
  readonly #accounts: ReadonlyMap<string, string>;
  readonly #store = new MessageStore();
  readonly #faults = new FaultQueue();
  readonly #player = new CallbackPlayer(this.#store, (callback) => this.sendCallback(callback));
  readonly #sender: CallbackSender;
  #server: LocalServer | undefined;

  private constructor(options: SimulatorOptions) {
    super();
    this.#accounts = new Map(
      Object.entries(options.accounts ?? { [demoAccount.sid]: demoAccount.authToken }),
    );
    this.#resources = options.resources ?? {};
    this.callbackPlan = options.callbackPlan ?? delivered;
    this.listDelayMilliseconds = options.listDelayMilliseconds ?? 0;
    this.refusedSenders = new Map(Object.entries(options.refusedSenders ?? {}));
    this.redaction = options.redaction ?? 'none';
    this.sharedKey = options.sharedKey;
    this.#sender = new CallbackSender({
      ...options,
      onAttempt: (attempt) => {
        this.callbacks.push(attempt);
        this.emit('callback', attempt);
      },
    });
  }

  /** Listens on 127.0.0.1 and a free port unless the options say otherwise. */
  static async start(options: SimulatorOptions = {}): Promise<TwilioSimulator> {
    const simulator = new TwilioSimulator(options);
    simulator.#server = await LocalServer.start(
      simulator.#api(),
      options.host ?? '127.0.0.1',
      options.port ?? 0,
    );
    return simulator;
  }

  /** The value for the service's TWILIO_API_BASE_URL, e.g. `http://127.0.0.1:40123`. */
  get baseUrl(): string {
    return this.#server?.baseUrl ?? '';
  }

  /** Adds a message for GET, as if it had been sent earlier. The caller sends its callbacks. */
  addMessage(message: ExistingMessage): SimulatedMessage {
    return this.#store.add({ accountSid: this.#firstAccount(), ...message });
  }

  /** Finds any message that GET knows. */
  findMessage(sid: string): SimulatedMessage | undefined {
    return this.#store.find(sid);
  }

  /**
   * Sends a WhatsApp message as the customer's application would; its callbacks begin at once.
   * @throws {Error} for an account that the simulator does not have
   */
  sendWhatsapp(options: WhatsappMessage): SimulatedMessage {
    const { steps = delivered, accountSid = this.#firstAccount(), ...message } = options;
    this.#tokenOf(accountSid);
    const added = this.#store.add({ ...message, accountSid, status: 'queued' });
    void this.#player.play(added, typeof steps === 'function' ? steps : () => steps);
    return added;
  }

  /**
   * Sends one signed callback, with the retries that the fragment of its URL asks for.
   * @throws {NoAnswerError} if no answer came
   */
  async sendCallback(options: SendCallbackOptions): Promise<HttpAnswer> {
    const { accountSid, signWith, ...callback } = options;
    const signer = accountSid ?? firstValue(options.parameters, 'AccountSid') ?? this.#firstAccount();
    return await this.#sender.send({
      ...callback,
      authToken: signWith ?? this.#tokenOf(signer),
      sharedKey: options.sharedKey ?? (signWith === undefined ? this.sharedKey : undefined),
    });
  }

  /** Makes the next requests that match the rule fail. */
  failNext(rule: FaultRule): void {
    this.#faults.add(rule);
  }

  /** Resolves when no callback is pending: all are answered, given up or dropped. */
  async settled(): Promise<void> {
    await this.#player.settled();
  }

  /** Forgets messages, requests, callbacks and faults, e.g. between two tests. Running work continues. */
  forget(): void {
    for (const remembered of [this.requests, this.messages, this.callbacks]) remembered.length = 0;
    this.#store.clear();
    this.#faults.clear();
  }

  /** Ends every connection and every pending callback. */
  async close(): Promise<void> {
    this.#player.close();
    this.#sender.close();
    await this.#server?.close();
    await this.#player.settled();
  }

  #api() {
    return messagesApi({
      accounts: this.#accounts,
      store: this.#store,
      faults: this.#faults,
      resources: this.#resources,
      listDelay: () => this.listDelayMilliseconds,
      redaction: () => this.redaction,
      refusedSenders: this.refusedSenders,
      onRequest: (request) => {
        this.requests.push(request);
        this.emit('request', request);
      },
      onAccepted: (message, answered) => this.#accept(message, answered),
    });
  }

  #firstAccount(): string {
    return this.#accounts.keys().next().value ?? demoAccount.sid;
  }

  #tokenOf(accountSid: string): string {
    const token = this.#accounts.get(accountSid);
    if (token === undefined) throw new Error(`The simulator has no account ${accountSid}`);
    return token;
  }

  #accept(message: SimulatedMessage, answered: Promise<void>): Promise<void> {
    this.messages.push(message);
    this.emit('message', message);
    return this.#player.play(message, this.callbackPlan, answered);
  }
}
