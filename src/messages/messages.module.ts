import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DATA_SOURCE } from '../process/inject-database.js';
import { Message } from './message.entity.js';
import { MessageRecorder } from './message-recorder.js';
import { OriginalMessages } from './original-messages.js';
import { TypeOrmMessageRecorder } from './typeorm-message-recorder.js';
import { TypeOrmOriginalMessages } from './typeorm-original-messages.js';

@Module({
  imports: [TypeOrmModule.forFeature([Message], DATA_SOURCE)],
  providers: [
    { provide: OriginalMessages, useClass: TypeOrmOriginalMessages },
    { provide: MessageRecorder, useClass: TypeOrmMessageRecorder },
  ],
  exports: [OriginalMessages, MessageRecorder],
})
export class MessagesModule {}
