import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { Message } from './message.entity.js';
import { type OriginalMessage, OriginalMessages } from './original-messages.js';

@Injectable()
export class TypeOrmOriginalMessages extends OriginalMessages {
  constructor(@InjectRepository(Message) private readonly messages: Repository<Message>) {
    super();
  }

  async findByTwilioSid(messageSid: string): Promise<OriginalMessage | null> {
    const message = await this.messages.findOne({
      where: { twilioSid: messageSid },
      relations: { conversation: { company: true } },
    });
    if (message === null) return null;
    const { id, body, conversationId, conversation } = message;
    return { id, body, conversationId, company: conversation?.company ?? null };
  }
}
