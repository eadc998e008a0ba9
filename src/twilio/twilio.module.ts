import { Module } from '@nestjs/common';
import { TwilioAccounts } from './twilio-accounts.js';
import { ConfigurableModuleClass } from './twilio.module-definition.js';

@Module({ providers: [TwilioAccounts], exports: [TwilioAccounts] })
export class TwilioModule extends ConfigurableModuleClass {}
