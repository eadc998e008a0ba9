import { Injectable, NotFoundException } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FallbackRecords } from '../fallback/fallback-records.js';
import type { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { MessageEvent } from '../message-events/message-event.entity.js';
import { PolicyFailureReplay } from '../message-events/policy-failure-replay.js';
import { OriginalMessages } from '../messages/original-messages.js';
import { eventView } from './event-view.js';
import { fallbackSummary } from './fallback-schema.js';
import { decisionInWords } from './journey-in-words.js';
import type { JourneyView, LegView } from './journey-schema.js';
import { currentStatus, inTrueOrder } from './true-order.js';

/** Twilio has 13 statuses; whatever else comes, an answer stays small. */
const MAXIMUM_EVENTS = 100;

/** What became of one message, and of the SMS that stood in for it. */
@Injectable()
export class Journeys {
  constructor(
    private readonly dataSource: DataSource,
    private readonly records: FallbackRecords,
    private readonly policyFailures: PolicyFailureReplay,
    private readonly originalMessages: OriginalMessages,
  ) {}

  /** @throws NotFoundException where nothing is known of the message. */
  async find(messageSid: string, showNumbers: boolean): Promise<JourneyView> {
    const events = await this.findEvents(messageSid);
    const fallback = await this.findFallback(messageSid, events);
    const originalSid = fallback?.originalMessageSid ?? messageSid;
    const original = await this.originalMessages.findByTwilioSid(originalSid);
    if (events.length === 0 && fallback === null && original === null) {
      throw new NotFoundException(`Nothing is known of the message ${messageSid}`);
    }
    const otherSid = originalSid === messageSid ? (fallback?.smsMessageSid ?? null) : originalSid;
    const otherEvents = otherSid === null ? [] : await this.findEvents(otherSid);
    const isOriginal = originalSid === messageSid;
    return {
      ...legView(messageSid, events, showNumbers),
      role: fallback === null ? 'alone' : isOriginal ? 'original' : 'fallback_sms',
      companyId: original?.company?.id ?? null,
      decision: decisionInWords({
        events: isOriginal ? events : otherEvents,
        smsEvents: isOriginal ? otherEvents : events,
        fallback,
        policyFailureErrorCodes: this.policyFailures.errorCodes,
      }),
      fallback: fallback && {
        ...fallbackSummary(fallback, showNumbers),
        href: `/api/v1/fallbacks/${fallback.id}`,
      },
      counterpart: otherSid === null ? null : legView(otherSid, otherEvents, showNumbers),
    };
  }

  /** By the unique key, which begins with the SID. */
  private findEvents(messageSid: string): Promise<MessageEvent[]> {
    return this.dataSource.manager.find(MessageEvent, {
      where: { messageSid },
      order: { createdAt: 'asc', id: 'asc' },
      take: MAXIMUM_EVENTS,
    });
  }

  /** An SMS whose sending was not answered is known by its callbacks, before the fallback names it. */
  private async findFallback(
    messageSid: string,
    events: readonly MessageEvent[],
  ): Promise<SmsFallback | null> {
    const named = events.find(({ smsFallbackId }) => smsFallbackId !== null)?.smsFallbackId ?? null;
    return (await this.records.find(messageSid)) ?? (named === null ? null : this.records.find(named));
  }
}

function legView(messageSid: string, events: readonly MessageEvent[], showNumbers: boolean): LegView {
  return {
    messageSid,
    channel: events[0]?.channel ?? null,
    currentStatus: currentStatus(events),
    href: `/api/v1/messages/${encodeURIComponent(messageSid)}`,
    events: inTrueOrder(events).map((event) => eventView(event, showNumbers)),
  };
}
