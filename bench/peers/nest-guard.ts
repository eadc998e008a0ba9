import 'reflect-metadata';
import { Controller, HttpCode, Module, Post, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { HOST, port } from './settings.js';
import { SignatureGuard } from './signature.guard.js';

/** Nest on Express with the guard, without storage: the limit of the framework. */
@Controller('api/webhooks/twilio')
@UseGuards(SignatureGuard)
class CallbackController {
  @Post('message-status')
  @HttpCode(204)
  receive(): void {
    // The callback is ignored.
  }
}

@Module({ controllers: [CallbackController] })
class PeerModule {}

const app = await NestFactory.create<NestExpressApplication>(PeerModule, { logger: false });
await app.listen(port, HOST);
