/** What a fallback needs to know about the WhatsApp message that was not delivered. */
export interface OriginalMessage {
  /** The id of its row in `messages`. */
  readonly id: string;
  /** Empty where the text is Twilio's, e.g. a rendered template. */
  readonly body: string | null;
  readonly conversationId: string | null;
  /** Null where the conversation belongs to no company. `phoneNumber` is in E.164. */
  readonly company: { readonly id: string; readonly phoneNumber: string | null } | null;
}

/**
 * Port: where original messages are looked up. Replace it where the application keeps them elsewhere than in the
 * tables `messages`, `conversations` and `companies`. Its conformance suite is test/messages/original-messages.suite.ts.
 */
export abstract class OriginalMessages {
  /** @returns null while the application has not stored the message, which may come after Twilio's callback. */
  abstract findByTwilioSid(messageSid: string): Promise<OriginalMessage | null>;
}
