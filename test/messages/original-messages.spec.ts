import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { MessageRecorder } from '../../src/messages/message-recorder.js';
import { type OriginalMessage, OriginalMessages } from '../../src/messages/original-messages.js';
import { TypeOrmOriginalMessages } from '../../src/messages/typeorm-original-messages.js';
import {
  type MessageToStore,
  originalMessagesConformance,
} from '../../testing/original-messages-conformance.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';

describe('TypeOrmOriginalMessages', () => {
  let database: DatabaseConnection;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource(dataSourceOptions(database)).initialize();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.close();
  });

  const cases = originalMessagesConformance(() => ({
    originalMessages: new TypeOrmOriginalMessages(dataSource),
    store: ({ twilioSid, body, company }) =>
      seedMessage(dataSource, {
        ...{ twilioSid, body, company: company !== null },
        companyPhoneNumber: company?.phoneNumber ?? null,
      }),
  }));
  for (const { name, run } of cases) it(name, run);
});

/** An application that keeps its messages outside our tables. */
class InMemoryOriginalMessages extends OriginalMessages {
  private readonly messages = new Map<string, OriginalMessage>();

  findByTwilioSid(messageSid: string): Promise<OriginalMessage | null> {
    return Promise.resolve(this.messages.get(messageSid) ?? null);
  }

  store({ twilioSid, body, company }: MessageToStore): void {
    this.messages.set(twilioSid, {
      id: null,
      body,
      conversationId: null,
      company: company && { id: randomUUID(), ...company },
    });
  }
}

describe('InMemoryOriginalMessages', () => {
  const cases = originalMessagesConformance(() => {
    const originalMessages = new InMemoryOriginalMessages();
    return {
      originalMessages,
      store: (message) => {
        originalMessages.store(message);
      },
    };
  });
  for (const { name, run } of cases) it(name, run);
});

describe('an OriginalMessages of another team', () => {
  it('replaces the tables, without a MessageRecorder, and the SMS has its text', async () => {
    const tickets = new InMemoryOriginalMessages();
    const application = await TestApplication.start({
      override: (builder) =>
        builder
          .overrideProvider(OriginalMessages)
          .useValue(tickets)
          .overrideProvider(MessageRecorder)
          .useValue(undefined),
    });
    try {
      const twilioSid = randomMessageSid();
      const company = { phoneNumber: '+15550004444' };
      tickets.store({ twilioSid, body: 'Your ticket is ready.', company });
      await policyFailure(application, twilioSid);
      const fallback = await untilAllIsDone(application, twilioSid);
      expect(smsFor(application, twilioSid)).toMatchObject([
        { body: 'Your ticket is ready.', from: '+15550004444', sid: fallback.smsMessageSid },
      ]);
    } finally {
      await application.close();
    }
  });
});
