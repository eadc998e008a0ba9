import {
  Get,
  HttpCode,
  HttpStatus,
  Injectable,
  Logger,
  NotFoundException,
  Param,
  Post,
  Query,
  Req,
} from '@nestjs/common';
import { ApiAcceptedResponse, ApiNotFoundResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { DataSource, In } from 'typeorm';
import { z } from 'zod';
import { retryInWords } from '../fallback/fallback-reasons.js';
import { IS_OPEN, IS_OVERDUE, SMS_FALLBACK_STATES } from '../fallback/sms-fallback-state.js';
import { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { isAbout, People } from '../message-events/people.js';
import { InjectDatabase } from '../process/inject-database.js';
import type { AdminRequest } from './admin-access.js';
import { FallbackRecords } from './fallback-records.js';
import { FallbackRetries } from './fallback-retries.js';
import {
  type FallbackDetails,
  fallbackDetails,
  fallbackDetailsSchema,
  fallbackPage,
  fallbackSummary,
  retrySchema,
  type RetryView,
} from './fallback-schema.js';
import { OperatorsApi } from './operators-api.decorator.js';
import {
  creation,
  cursorOf,
  flag,
  limit,
  MICROSECONDS,
  numbers,
  parameters,
  person,
  time,
  toPage,
} from './page.js';

/** The query of `GET /fallbacks`: fallbacks that match all given conditions. */
export const fallbackQuery = parameters({
  state: z.enum(SMS_FALLBACK_STATES).optional(),
  reason: z.string().min(1).max(64).optional().describe('e.g. conversation_without_company'),
  overdue: flag.describe(
    'true: only those whose SMS has been due for more than 15 minutes, however often it was tried',
  ),
  undelivered: flag.describe(
    'true: only those whose SMS was sent, and then reported as failed or undelivered',
  ),
  number: person
    .optional()
    .describe('of the recipient: a number with its country, e.g. +15551234567, or a WhatsApp user ID'),
  from: time.optional().describe('claimed at this time or later'),
  to: time.optional().describe('claimed before this time'),
  limit,
  cursor: cursorOf(creation),
  numbers,
});

export type FallbackQuery = z.output<typeof fallbackQuery>;

export const numbersQuery = parameters({ numbers });

export const retryQuery = parameters({
  ignoreAge: flag.describe('true: retry however old the WhatsApp message is'),
});

export type RetryQuery = z.output<typeof retryQuery>;

export type NumbersQuery = z.output<typeof numbersQuery>;

/** The id of a fallback, or the SID of its original message or of its SMS. */
export const fallbackName = z
  .string()
  .min(1)
  .max(64)
  .describe('its id, or the SID of its original message or of its SMS');

/** The same condition as the metric `fallbacks_overdue`. */
const OVERDUE = `${IS_OPEN} and ${IS_OVERDUE}`;

/** `delivered` outranks both: a message of several segments may report the failure of one. */
const UNDELIVERED = 'sms_undelivered_at is not null and sms_delivered_at is null';

/** Lists, shows and retries fallbacks for operators. */
@Injectable()
export class FallbackOperations {
  private readonly logger = new Logger(FallbackOperations.name);

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly records: FallbackRecords,
    private readonly retries: FallbackRetries,
    private readonly people: People,
  ) {}

  async list(query: FallbackQuery) {
    const keys = await this.findKeys(query);
    const found = await this.dataSource.manager.findBy(SmsFallback, { id: In(keys.map(({ id }) => id)) });
    const byId = new Map(found.map((fallback) => [fallback.id, fallback]));
    const rows = keys.flatMap((key) => {
      const fallback = byId.get(key.id);
      return fallback === undefined ? [] : [{ key, fallback }];
    });
    return toPage(
      rows,
      query.limit,
      ({ fallback }) => fallbackSummary(fallback, query.numbers),
      ({ key }) => key,
    );
  }

  /** @throws NotFoundException */
  async show(name: string, showNumbers: boolean): Promise<FallbackDetails> {
    const fallback = await this.find(name);
    return fallbackDetails(fallback, await this.records.findEvents(fallback), showNumbers);
  }

  /** @throws NotFoundException */
  async retry(
    name: string,
    { ignoreAge, keyName }: { readonly ignoreAge: boolean; readonly keyName: string },
  ): Promise<RetryView> {
    const { id } = await this.find(name);
    const [retried] = await this.retries.retry([id], { ignoreAge, by: `key:${keyName}` });
    if (retried === undefined) throw notFound(name);
    const { originalMessageSid, smsMessageSid, decision } = retried;
    this.logger.log('A fallback was asked to be tried again', {
      smsFallbackId: id,
      originalMessageSid,
      key: keyName,
      ignoreAge,
      decision,
    });
    return { id, originalMessageSid, smsMessageSid, decision, meaning: retryInWords(decision) };
  }

  private async find(name: string): Promise<SmsFallback> {
    const fallback = await this.records.find(name);
    if (fallback === null) throw notFound(name);
    return fallback;
  }

  /** Uses sms_fallbacks_created_at_idx, or the index on the state or the number if the query has one. */
  private async findKeys({
    state,
    reason,
    overdue,
    undelivered,
    number,
    from,
    to,
    cursor,
    limit,
  }: FallbackQuery) {
    const parameters: unknown[] = [limit + 1];
    const conditions: string[] = [];
    const add = (value: unknown) => `$${parameters.push(value)}`;
    if (state !== undefined) conditions.push(`state = ${add(state)}`);
    if (reason !== undefined) conditions.push(`reason = ${add(reason)}`);
    // The condition of sms_fallbacks_open_idx, which has few rows.
    if (overdue) conditions.push(OVERDUE);
    // The condition of sms_fallbacks_undelivered_idx, which has few rows, too.
    if (undelivered) conditions.push(UNDELIVERED);
    if (number !== undefined) {
      const person = await this.people.find(number);
      conditions.push(isAbout(add(person.numbers), add(person.userIds)));
    }
    if (from !== undefined) conditions.push(`created_at >= ${add(from)}`);
    if (to !== undefined) conditions.push(`created_at < ${add(to)}`);
    if (cursor !== undefined) {
      const createdAt = `timestamptz 'epoch' + ${add(cursor.microseconds)}::bigint * interval '1 microsecond'`;
      conditions.push(`(created_at, id) < (${createdAt}, ${add(cursor.id)}::uuid)`);
    }
    return this.dataSource.query<{ id: string; microseconds: string }[]>(
      `select id, ${MICROSECONDS} as microseconds from sms_fallbacks
        ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
        order by created_at desc, id desc limit $1`,
      parameters,
    );
  }
}

function notFound(name: string): NotFoundException {
  return new NotFoundException(`There is no fallback for ${name}`);
}

@OperatorsApi('fallbacks', 'Fallbacks')
export class FallbacksController {
  constructor(private readonly fallbacks: FallbackOperations) {}

  @Get()
  @ApiOperation({ summary: 'List SMS fallbacks' })
  @ApiOkResponse({ standardSchema: fallbackPage })
  list(@Query({ schema: fallbackQuery }) query: FallbackQuery) {
    return this.fallbacks.list(query);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Show a fallback with the events of its original message and its SMS' })
  @ApiOkResponse({ standardSchema: fallbackDetailsSchema })
  @ApiNotFoundResponse({ description: 'There is no such fallback' })
  show(
    @Param('id', { schema: fallbackName }) name: string,
    @Query({ schema: numbersQuery }) { numbers }: NumbersQuery,
  ) {
    return this.fallbacks.show(name, numbers);
  }

  @Post(':id/retry')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({
    summary:
      'Retry a failed or skipped fallback. It never leads to a second SMS; the answer says what is done',
  })
  @ApiAcceptedResponse({ standardSchema: retrySchema })
  @ApiNotFoundResponse({ description: 'There is no such fallback' })
  retry(
    @Param('id', { schema: fallbackName }) name: string,
    @Query({ schema: retryQuery }) { ignoreAge }: RetryQuery,
    @Req() { adminKeyName: keyName = 'unknown' }: AdminRequest,
  ) {
    return this.fallbacks.retry(name, { ignoreAge, keyName });
  }
}
