import { Inject, Injectable, Logger } from '@nestjs/common';
import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import type { LoggedEvent } from '../message-events/message-history.js';
import type { OriginalMessage } from '../messages/original-messages.js';
import type { SkipReason } from './fallback-reasons.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import { isMissing, isUnrendered, smsEncoding, toSmsText, withLinks } from './sms-text.js';
import { type NotCarriedOver, TemplateContent, type TemplateParts } from './template-content.js';
import { withoutFormatting } from './whatsapp-formatting.js';

/** The text of an SMS, and how Twilio encodes it. */
export type ComposedText = Pick<SmsFallback, 'truncated' | 'encoding' | 'segments' | 'notCarriedOver'> & {
  readonly body: string;
};

/** Decides what an SMS says. */
@Injectable()
export class SmsTexts {
  private readonly logger = new Logger('Fallback');

  constructor(
    private readonly templates: TemplateContent,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions,
  ) {}

  /** Whether the application's text is not enough. */
  asksTwilio({ body }: Pick<OriginalMessage, 'body'>): boolean {
    return this.options.originalText === 'twilio' || !isText(body);
  }

  async compose(
    accountSid: string,
    original: OriginalMessage,
    events: readonly LoggedEvent[],
    answer: MessageInstance | null,
  ): Promise<ComposedText | { readonly reason: SkipReason }> {
    const written = [original.body, answer?.body ?? null];
    const preferred = this.options.originalText === 'twilio' ? written.toReversed() : written;
    const plain = preferred
      .filter(isText)
      .map(withoutFormatting)
      .find((text) => !isMissing(text));
    if (plain === undefined) return { reason: written.some(isTemplate) ? 'text_not_rendered' : 'no_text' };
    const template = await this.findTemplate(accountSid, original, events);
    const { text: body, truncated } = toSmsText(plain);
    const withTemplate = withLinks(body, template.links);
    const media = hasMedia(events, answer) ? (['media'] as const) : [];
    // A link that is too long for the SMS is a button that cannot be carried over.
    const buttons = template.links.some((link) => !withTemplate.includes(link)) ? (['buttons'] as const) : [];
    return {
      body: withTemplate,
      truncated: truncated || !withTemplate.startsWith(body),
      ...smsEncoding(withTemplate),
      notCarriedOver: [...new Set<NotCarriedOver>([...template.notCarriedOver, ...media, ...buttons])],
    };
  }

  /** Asks Twilio for links, but never delays the SMS for them: an SMS without its links is recorded as incomplete. */
  private async findTemplate(
    accountSid: string,
    { contentSid, contentVariables }: OriginalMessage,
    events: readonly LoggedEvent[],
  ): Promise<TemplateParts> {
    const sid = contentSid ?? events.find((event) => event.contentSid !== null)?.contentSid ?? null;
    if (sid === null) return { links: [], notCarriedOver: [] };
    try {
      return await this.templates.find(accountSid, sid, contentVariables ?? {});
    } catch (error) {
      this.logger.warn('The template of a message could not be read', {
        contentSid: sid,
        error: String(error),
      });
      return { links: [], notCarriedOver: ['template'] };
    }
  }
}

function isText(text: string | null): text is string {
  return text !== null && !isMissing(text) && !isUnrendered(text);
}

function isTemplate(text: string | null): boolean {
  return text !== null && !isMissing(text) && isUnrendered(text);
}

function hasMedia(events: readonly LoggedEvent[], answer: MessageInstance | null): boolean {
  return [answer?.numMedia, ...events.map(({ numMedia }) => numMedia)].some(
    (count) => Number(count ?? 0) > 0,
  );
}
