import { Module } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { DATA_SOURCE_TOKEN } from '../process/inject-database.js';
import { hasApplicationTables } from './application-tables.js';
import { MessageRecorder } from './message-recorder.js';
import { OriginalMessages, OriginalsAtTwilio } from './original-messages.js';
import { TypeOrmMessageRecorder } from './typeorm-message-recorder.js';
import { TypeOrmOriginalMessages } from './typeorm-original-messages.js';

/** The data source decides: if it has no application tables, the originals are at Twilio, and nothing is recorded. */
@Module({
  providers: [
    {
      provide: OriginalMessages,
      inject: [DATA_SOURCE_TOKEN],
      useFactory: (dataSource: DataSource): OriginalMessages =>
        hasApplicationTables(dataSource) ? new TypeOrmOriginalMessages(dataSource) : new OriginalsAtTwilio(),
    },
    {
      provide: MessageRecorder,
      inject: [DATA_SOURCE_TOKEN],
      useFactory: (dataSource: DataSource): MessageRecorder | undefined =>
        hasApplicationTables(dataSource) ? new TypeOrmMessageRecorder() : undefined,
    },
  ],
  exports: [OriginalMessages, MessageRecorder],
})
export class MessagesModule {}
