/** The WhatsApp message that was not delivered, as far as a fallback needs it. */
export interface OriginalMessage {
  /** The id of its row in `messages`; null if the application has none. */
  readonly id: string | null;
  /** Empty if Twilio has the text, e.g. a rendered template. */
  readonly body: string | null;
  readonly conversationId: string | null;
  /** Null if the conversation belongs to no company. `phoneNumber` is as the application stores it. */
  readonly company: { readonly id: string; readonly phoneNumber: string | null } | null;
  /** When the application stored it. */
  readonly createdAt?: Date | null;
  /** The recipient's number in E.164, if the application knows it. */
  readonly recipient?: string | null;
  /** The SID (`HX…`) of the template of the message. */
  readonly contentSid?: string | null;
  /** The template's variables: `{ "1": "Ada" }`. */
  readonly contentVariables?: Readonly<Record<string, string>> | null;
}

/**
 * Port for looking up original messages. Replace it if the application does not keep them in the tables `messages`,
 * `conversations` and `companies`. Its conformance suite is testing/original-messages-conformance.ts.
 */
export abstract class OriginalMessages {
  /** @returns null while the application has not stored the message: Twilio's callback may come first. */
  abstract findByTwilioSid(messageSid: string): Promise<OriginalMessage | null>;
}

/** For a service without the application's tables: only Twilio knows the original, so the fallback asks Twilio. */
export class OriginalsAtTwilio extends OriginalMessages {
  findByTwilioSid(): Promise<OriginalMessage> {
    return Promise.resolve({ id: null, body: null, conversationId: null, company: null });
  }
}
