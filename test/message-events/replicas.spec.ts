import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { inRandomOrder } from '../../simulator/random.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { OnDomainEvent } from '../../src/domain-events/on-domain-event.decorator.js';
import type { WhatsappPolicyFailed } from '../../src/message-events/policy-failure.js';
import { TestApplication } from '../support/application.js';
import { jobsOf } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { type Answer, postCallback, statusParameters } from '../webhooks/post-callback.js';

const deliveredEventIds: string[] = [];

/** A listener of another team, in both replicas. */
@Injectable()
class Deliveries {
  @OnDomainEvent('whatsapp.policy_failed')
  onPolicyFailed({ messageEventId }: WhatsappPolicyFailed): Promise<void> {
    deliveredEventIds.push(messageEventId);
    return Promise.resolve();
  }
}

@Module({ providers: [Deliveries] })
class DeliveriesModule {}

/** A busy machine may answer 503: nothing is stored, and Twilio sends the callback again. */
async function postUntilStored(
  replica: TestApplication,
  parameters: ReturnType<typeof statusParameters>,
): Promise<Answer> {
  return until('the callback to be stored', async () => {
    const answer = await postCallback(replica, { parameters });
    return answer.status !== 503 && answer;
  });
}

describe('two replicas on one database', () => {
  let database: DatabaseConnection;
  let replicas: TestApplication[];

  beforeAll(async () => {
    database = await createTestDatabase();
    const options = { database, imports: [DeliveriesModule] };
    replicas = [await TestApplication.start(options), await TestApplication.start(options)];
  });

  afterAll(async () => {
    for (const replica of replicas) await replica.close();
    await database.close();
  });

  function anyReplica(): TestApplication {
    const [replica] = replicas;
    if (replica === undefined) throw new Error('No replica was started');
    return replica;
  }

  function query<Row>(sql: string, parameters: unknown[]): Promise<Row[]> {
    return anyReplica().query<Row>(sql, parameters);
  }

  function fromEach(send: (replica: TestApplication) => Promise<Answer>[]): Promise<Answer[]> {
    return Promise.all(replicas.flatMap(send));
  }

  it.each([1, 2])('make one row from 50 callbacks at once at %i of them', async (receiving) => {
    const parameters = statusParameters();
    const answers = await Promise.all(
      replicas
        .slice(0, receiving)
        .flatMap((replica) =>
          Array.from({ length: 50 / receiving }, () => postUntilStored(replica, parameters)),
        ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(204));
    const rows = await query<{ id: string }>('select id from message_events where message_sid = $1', [
      parameters.MessageSid,
    ]);
    expect(rows).toHaveLength(1);
    const logged = replicas.flatMap(({ logs }) =>
      logs.lines.filter(({ fields }) => JSON.stringify(fields).includes(String(parameters.MessageSid))),
    );
    expect(logged).toHaveLength(50);
    expect(new Set(logged.map(({ message }) => message))).toEqual(
      new Set([`✅ [WEBHOOK] Message event logged: ${rows[0]?.id}`]),
    );
    const first = logged.filter(({ fields }) => JSON.stringify(fields).includes('"repeated":false'));
    expect(first).toHaveLength(1);
  });

  it('make one row and one domain event from a policy failure that both get', async () => {
    const parameters = statusParameters({
      MessageStatus: 'undelivered',
      ErrorCode: '63049',
      From: 'whatsapp:+15550001111',
      To: 'whatsapp:+15557654321',
    });
    const answers = await fromEach((replica) =>
      Array.from({ length: 20 }, () => postUntilStored(replica, parameters)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(40).fill(204));
    const events = await query<{ id: string }>('select id from message_events where message_sid = $1', [
      parameters.MessageSid,
    ]);
    expect(events).toHaveLength(1);
    await until('the domain event to be delivered', () => deliveredEventIds.length > 0);
    await until('no more to be in the queue', async () => {
      const jobs = await Promise.all(replicas.map((replica) => jobsOf(replica, 'whatsapp.policy_failed')));
      return jobs.flat().length === 0;
    });
    expect(deliveredEventIds).toEqual([events[0]?.id]);
  });

  it('keep every callback of messages that they share, in any order', async () => {
    const statuses = ['queued', 'sending', 'sent', 'delivered', 'read'];
    const messages = await Promise.all(
      Array.from({ length: 40 }, () => seedMessage(anyReplica().dataSource)),
    );
    const posts = messages.flatMap(({ twilioSid }) =>
      statuses.map((status) => ({ MessageSid: twilioSid, MessageStatus: status })),
    );
    const answers = await fromEach((replica) =>
      inRandomOrder(posts, Math.random).map((post) => postUntilStored(replica, statusParameters(post))),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    const sids = [messages.map(({ twilioSid }) => twilioSid)];
    expect(await query('select from message_events where message_sid = any ($1)', sids)).toHaveLength(
      posts.length,
    );
    await until('every message to be read', async () => {
      const behind = `select from messages where twilio_sid = any ($1) and status <> 'read'`;
      return (await query(behind, sids)).length === 0;
    });
  });
});
