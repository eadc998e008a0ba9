import { Inject, Injectable, Logger } from '@nestjs/common';
import twilio from 'twilio';
import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import type { LoggedEvent } from '../message-events/message-history.js';
import type { OriginalMessage } from '../messages/original-messages.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import type { SkipReason } from './fallback-reasons.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import { hasPlaceholder, isMissing, isUnrendered, smsEncoding, toSmsText, withLinks } from './sms-text.js';
import { withoutFormatting } from './whatsapp-formatting.js';

/** The parts of a template that an SMS does not show. `template`: its parts are unknown. */
export type NotCarriedOver =
  'media' | 'buttons' | 'list' | 'location' | 'carousel' | 'catalog' | 'flow' | 'payment' | 'template';

export interface TemplateParts {
  /** The targets of URL buttons, complete and different from each other, in the template's order. */
  readonly links: readonly string[];
  /** Empty if text and links are all there is. */
  readonly notCarriedOver: readonly NotCarriedOver[];
}

/** The values that a message was sent with, by the name of the placeholder. */
export type ContentVariables = Readonly<Record<string, string>>;

const UNKNOWN_TEMPLATE: TemplateParts = { links: [], notCarriedOver: ['template'] };

const CONTENT_SID = /^HX[0-9a-f]{32}$/i;

/**
 * The types that WhatsApp supports, richest first, with the parts that an SMS never shows. Twilio sends the richest
 * type that a channel supports. whatsapp/flows is not in Twilio's list; it comes before the types that serve other
 * channels too.
 * Source: https://www.twilio.com/docs/content/content-types-overview#channel-support-and-priority-order
 */
const CONTENT_TYPES: ReadonlyMap<string, readonly NotCarriedOver[]> = new Map([
  ['whatsapp/authentication', []],
  ['whatsapp/card', []],
  ['whatsapp/flows', ['flow']],
  ['twilio/flows', ['flow']],
  ['twilio/pay', ['payment']],
  ['twilio/catalog', ['catalog']],
  ['twilio/carousel', ['carousel']],
  ['twilio/card', []],
  ['twilio/list-picker', ['list']],
  ['twilio/call-to-action', []],
  ['twilio/quick-reply', []],
  ['twilio/location', ['location']],
  ['twilio/media', []],
  ['twilio/text', []],
] as const);

/** Looks up the parts of a template beside its text at Twilio. */
@Injectable()
export class TemplateContent {
  constructor(private readonly accounts: TwilioAccounts) {}

  /**
   * Returns the parts of a template in a message. A template that Twilio does not have, does not show to the account,
   * or describes in an unknown way has the part `template`.
   * @throws an error that `classifySendError` accepts, if Twilio cannot be asked now: an error of the network, 401,
   * 408, 429, 5xx, or an account that is not configured.
   */
  async find(accountSid: string, contentSid: string, variables: ContentVariables): Promise<TemplateParts> {
    if (!CONTENT_SID.test(contentSid)) return UNKNOWN_TEMPLATE;
    const client = this.accounts.client(accountSid);
    try {
      const { types } = await client.content.v1.contents(contentSid).fetch();
      return partsOf(types, variables);
    } catch (error) {
      if (isAnswer(error)) return UNKNOWN_TEMPLATE;
      throw error;
    }
  }
}

/** HTTP statuses that say nothing about the template: the same request may succeed later. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([401, 408, 429]);

/** Whether Twilio has answered and would give the same answer again. The library parses an answer before we see it. */
function isAnswer(error: unknown): boolean {
  if (error instanceof twilio.RestException) return error.status < 500 && !PASSING_STATUSES.has(error.status);
  return error instanceof SyntaxError || error instanceof TypeError;
}

/**
 * Splits a template's `types` into the parts that an SMS shows and those that it does not. Of several types, the one
 * that WhatsApp receives counts. An unknown type that may be for WhatsApp adds `template`.
 */
export function partsOf(types: unknown, variables: ContentVariables): TemplateParts {
  const contents = Object.entries(fieldsOf(types)).filter(([, content]) => content !== null);
  const known = new Map(contents.filter(([name, content]) => CONTENT_TYPES.has(name) && isObject(content)));
  const richest = [...CONTENT_TYPES].find(([name]) => known.has(name));
  if (richest === undefined) return UNKNOWN_TEMPLATE;
  const [name, always] = richest;
  const content = fieldsOf(known.get(name));
  const parts = [content, ...listOf(content.cards).map(fieldsOf)].map((part) => partsOfOne(part, variables));
  const hasUnknown = contents.some(([other]) => /^(?:twilio|whatsapp)\//.test(other) && !known.has(other));
  return {
    links: unique(parts.flatMap(({ links }) => links)),
    notCarriedOver: unique([
      ...always,
      ...parts.flatMap(({ notCarriedOver }) => notCarriedOver),
      ...(hasUnknown ? UNKNOWN_TEMPLATE.notCarriedOver : []),
    ]),
  };
}

/** The media and the buttons of a content or of a card. `media` is a URL or a list of them. */
function partsOfOne(
  { media, media_url: mediaUrl, actions }: Fields,
  variables: ContentVariables,
): TemplateParts {
  const buttons = listOf(actions).map((action) => linkOf(fieldsOf(action), variables));
  const hasMedia = [...listOf(media), ...listOf(mediaUrl)].some((url) => url !== '' && url !== null);
  return {
    links: buttons.filter((link) => link !== null),
    notCarriedOver: [
      ...(hasMedia ? (['media'] as const) : []),
      ...(buttons.includes(null) ? (['buttons'] as const) : []),
    ],
  };
}

/** The web address that a button opens. Null for any other button, or if the message has no value for a placeholder. */
function linkOf({ url }: Fields, variables: ContentVariables): string | null {
  const [template] = listOf(url);
  if (typeof template !== 'string') return null;
  const link = template
    .replace(/\{\{\s*([^{}\s]+)\s*\}\}/g, (placeholder, name: string) =>
      Object.hasOwn(variables, name) && variables[name] !== '' ? String(variables[name]) : placeholder,
    )
    .trim();
  if (hasPlaceholder(link) || !URL.canParse(link)) return null;
  const { protocol, href } = new URL(link);
  if (protocol !== 'https:' && protocol !== 'http:') return null;
  // A phone ends a link at white space.
  return /\s/.test(link) ? href : link;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return isObject(value) ? { ...value } : {};
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function unique<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)];
}

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
    if (plain === undefined) {
      if (written.some(isTemplate)) return { reason: 'text_not_rendered' };
      // Only Twilio had it.
      return { reason: original.id === null && answer === null ? 'original_message_deleted' : 'no_text' };
    }
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
