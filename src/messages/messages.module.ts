import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Message } from './message.entity.js';
import { OriginalMessages } from './original-messages.js';
import { TypeOrmOriginalMessages } from './typeorm-original-messages.js';

@Module({
  imports: [TypeOrmModule.forFeature([Message])],
  providers: [{ provide: OriginalMessages, useClass: TypeOrmOriginalMessages }],
  exports: [OriginalMessages],
})
export class MessagesModule {}
