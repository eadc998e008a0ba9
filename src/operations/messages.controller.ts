import {
  Body,
  Get,
  HttpCode,
  HttpStatus,
  Injectable,
  NotFoundException,
  Param,
  Post,
  Query,
  Req,
  UseInterceptors,
} from '@nestjs/common';
import { ApiNotFoundResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { Request } from 'express';
import { DataSource } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { z } from 'zod';
import type { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { MessageEvent } from '../message-events/message-event.entity.js';
import { PolicyFailureReplay } from '../message-events/policy-failure-replay.js';
import { OriginalMessages } from '../messages/original-messages.js';
import { InjectDatabase } from '../process/inject-database.js';
import {
  eventPage,
  type EventQuery,
  eventQuery,
  eventSchema,
  EventSearch,
  eventSearchBody,
} from './event-search.js';
import { FallbackRecords } from './fallback-records.js';
import { fallbackSchema, fallbackSummary } from './fallback-schema.js';
import { eventView } from './fallback-view.js';
import { type NumbersQuery, numbersQuery } from './fallbacks.controller.js';
import { currentStatus, decisionInWords, inTrueOrder } from './journey-in-words.js';
import { OperatorsApi } from './operators-api.decorator.js';
import { messageSid } from './page.js';
import { SearchBodyInterceptor } from './search-body.interceptor.js';

const leg = z.object({
  messageSid: z.string(),
  channel: z.string().nullable(),
  currentStatus: z.string().nullable().describe('the highest by rank, whatever the order of the callbacks'),
  href: z.string().describe('the journey of this message'),
  events: z.array(eventSchema).describe('in the order in which the statuses occurred'),
});

export const journeySchema = leg.extend({
  role: z.enum(['original', 'fallback_sms', 'alone']),
  companyId: z.string().nullable(),
  decision: z.string().describe('whether there was an SMS, and why'),
  fallback: fallbackSchema.extend({ href: z.string() }).nullable(),
  counterpart: leg.nullable().describe('the SMS of an original, or the original of an SMS'),
});

export type JourneyView = z.output<typeof journeySchema>;
export type LegView = z.output<typeof leg>;

/** Keeps answers small; Twilio has only 13 statuses. */
const MAXIMUM_EVENTS = 100;

/** How a journey is shown. */
export interface Look {
  readonly showNumbers: boolean;
  /** The path of the API, without a slash at its end, for the links. */
  readonly api: string;
}

/** Finds the history of one message and of its SMS. */
@Injectable()
export class Journeys {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly records: FallbackRecords,
    private readonly policyFailures: PolicyFailureReplay,
    private readonly originalMessages: OriginalMessages,
  ) {}

  /**
   * @param name a message's SID, or the id of a fallback for its original message.
   * @throws NotFoundException if the message is unknown.
   */
  async find(name: string, look: Look): Promise<JourneyView> {
    const messageSid = isUuid(name) ? ((await this.records.find(name))?.originalMessageSid ?? name) : name;
    const events = await this.findEvents(messageSid);
    const fallback = await this.findFallback(messageSid, events);
    const originalSid = fallback?.originalMessageSid ?? messageSid;
    const original = await this.originalMessages.findByTwilioSid(originalSid);
    const isStored = original !== null && original.id !== null;
    if (events.length === 0 && fallback === null && !isStored) {
      throw new NotFoundException(`There is no message ${messageSid}`);
    }
    const otherSid = originalSid === messageSid ? (fallback?.smsMessageSid ?? null) : originalSid;
    const otherEvents = otherSid === null ? [] : await this.findEvents(otherSid);
    const isOriginal = originalSid === messageSid;
    const smsEvents = isOriginal ? otherEvents : await this.findCurrentSms(fallback, messageSid, events);
    return {
      ...legView(messageSid, events, look),
      role: fallback === null ? 'alone' : isOriginal ? 'original' : 'fallback_sms',
      companyId: original?.company?.id ?? null,
      decision: decisionInWords({
        events: isOriginal ? events : otherEvents,
        smsEvents,
        fallback,
        policyFailureErrorCodes: this.policyFailures.errorCodes,
      }),
      fallback: fallback && {
        ...fallbackSummary(fallback, look.showNumbers),
        href: `${look.api}/fallbacks/${fallback.id}`,
      },
      counterpart: otherSid === null ? null : legView(otherSid, otherEvents, look),
    };
  }

  /** Finds the events of the fallback's current SMS, not of earlier attempts. */
  private findCurrentSms(
    fallback: SmsFallback | null,
    messageSid: string,
    events: MessageEvent[],
  ): Promise<MessageEvent[]> | MessageEvent[] {
    const current = fallback?.smsMessageSid ?? messageSid;
    return current === messageSid ? events : this.findEvents(current);
  }

  /** Uses the unique key, which begins with the SID. */
  private findEvents(messageSid: string): Promise<MessageEvent[]> {
    return this.dataSource.manager.find(MessageEvent, {
      where: { messageSid },
      order: { createdAt: 'asc', id: 'asc' },
      take: MAXIMUM_EVENTS,
    });
  }

  /** If Twilio's answer to a send was lost, callbacks identify the SMS before the fallback has its SID. */
  private async findFallback(
    messageSid: string,
    events: readonly MessageEvent[],
  ): Promise<SmsFallback | null> {
    const named = events.find(({ smsFallbackId }) => smsFallbackId !== null)?.smsFallbackId ?? null;
    return (await this.records.find(messageSid)) ?? (named === null ? null : this.records.find(named));
  }
}

function legView(messageSid: string, events: readonly MessageEvent[], { showNumbers, api }: Look): LegView {
  return {
    messageSid,
    channel: events[0]?.channel ?? null,
    currentStatus: currentStatus(events),
    href: `${api}/messages/${encodeURIComponent(messageSid)}`,
    events: inTrueOrder(events).map((event) => eventView(event, showNumbers)),
  };
}

@OperatorsApi('message-events', 'Messages')
// Listed below OperatorsApi, so that it runs first: a slow body must not hold one of the few concurrency slots.
@UseInterceptors(SearchBodyInterceptor)
export class MessageEventsController {
  constructor(private readonly events: EventSearch) {}

  @Get()
  @ApiOperation({ summary: 'List the statuses that Twilio reported, newest first' })
  @ApiOkResponse({ standardSchema: eventPage })
  list(@Query({ schema: eventQuery }) query: EventQuery) {
    return this.events.list(query);
  }

  @Post('search')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    summary: 'Search statuses with the query in the body, which keeps numbers out of proxy logs',
  })
  @ApiOkResponse({ standardSchema: eventPage })
  search(@Body({ schema: eventSearchBody }) query: EventQuery) {
    return this.events.list(query);
  }
}

@OperatorsApi('messages', 'Messages')
export class MessagesController {
  constructor(private readonly journeys: Journeys) {}

  @Get(':sid')
  @ApiOperation({
    summary: 'Show the journey of a message: its events, its fallback in words, and the other message',
  })
  @ApiOkResponse({ standardSchema: journeySchema })
  @ApiNotFoundResponse({ description: 'There is no such message' })
  show(
    @Param('sid', { schema: messageSid }) sid: string,
    @Query({ schema: numbersQuery }) { numbers: showNumbers }: NumbersQuery,
    @Req() { originalUrl }: Request,
  ) {
    // The application may have the API below a prefix.
    const api = originalUrl.slice(0, originalUrl.indexOf('/messages/'));
    return this.journeys.find(sid, { showNumbers, api });
  }
}
