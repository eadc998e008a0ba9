import { Module } from '@nestjs/common';
import { envSchema } from './env.js';
import { parseEnv } from './parse-env.js';

/** Injection token of the parsed environment (`Env`). Only app.module.ts and app.setup.ts inject it. */
export const ENV = Symbol('ENV');

@Module({
  providers: [{ provide: ENV, useFactory: () => parseEnv(process.env, envSchema) }],
  exports: [ENV],
})
export class EnvModule {}
