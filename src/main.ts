import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
@Module({})
class M {}
const app = await NestFactory.create(M);
await app.init();
console.log('ok');
await app.close();
