import { Body, Controller, HttpCode, Module, Post, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import 'reflect-metadata';
import { QueryFailedError, Repository } from 'typeorm';
import { databaseUrl, HOST, port } from './settings.js';
import { SignatureGuard } from './signature.guard.js';
import { StoredEvent, toEventRow } from './stored-event.entity.js';

const UNIQUE_VIOLATION = '23505';

/** Plain Nest and TypeORM: the entity is saved, and the unique key detects a repeat. */
@Controller('api/webhooks/twilio')
@UseGuards(SignatureGuard)
class CallbackController {
  constructor(@InjectRepository(StoredEvent) private readonly events: Repository<StoredEvent>) {}

  @Post('message-status')
  @HttpCode(204)
  async receive(@Body() parameters: Record<string, string>): Promise<void> {
    try {
      await this.events.save(this.events.create(toEventRow(parameters)));
    } catch (error) {
      if (!isRepeat(error)) throw error;
    }
  }
}

function isRepeat(error: unknown): boolean {
  return (
    error instanceof QueryFailedError && (error.driverError as { code?: unknown }).code === UNIQUE_VIOLATION
  );
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: databaseUrl,
      entities: [StoredEvent],
      synchronize: false,
      installExtensions: false,
    }),
    TypeOrmModule.forFeature([StoredEvent]),
  ],
  controllers: [CallbackController],
})
class PeerModule {}

const app = await NestFactory.create<NestExpressApplication>(PeerModule, { logger: false });
await app.listen(port, HOST);
