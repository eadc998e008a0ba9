/** What a fallback needs to know about the WhatsApp message that was not delivered. */
export interface OriginalMessage {
  /** The id of its row in `messages`. */
  readonly id: string;
  /** Empty where the text is Twilio's, e.g. a rendered template. */
  readonly body: string | null;
  readonly conversationId: string | null;
  /** Null where the conversation belongs to no company. `phoneNumber` is as the application stores it. */
  readonly company: { readonly id: string; readonly phoneNumber: string | null } | null;
  /** When the application stored it. */
  readonly createdAt?: Date | null;
  /** The recipient's number in E.164, where the application knows it. */
  readonly recipient?: string | null;
  /** The SID (`HX…`) of the template that it was made from. */
  readonly contentSid?: string | null;
  /** The template's variables: `{ "1": "Ada" }`. */
  readonly contentVariables?: Readonly<Record<string, string>> | null;
}

/**
 * Port: where original messages are looked up. Replace it where the application keeps them elsewhere than in the
 * tables `messages`, `conversations` and `companies`. Its conformance suite is test/messages/original-messages.suite.ts.
 */
export abstract class OriginalMessages {
  /** @returns null while the application has not stored the message, which may come after Twilio's callback. */
  abstract findByTwilioSid(messageSid: string): Promise<OriginalMessage | null>;
}
