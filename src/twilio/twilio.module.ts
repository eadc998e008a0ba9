import { Module } from '@nestjs/common';
import { OutageWatch } from './outage-watch.js';
import { TwilioAccounts } from './twilio-accounts.js';
import { TwilioOutages } from './twilio-outages.js';
import { ConfigurableModuleClass } from './twilio.module-definition.js';

@Module({ providers: [OutageWatch, TwilioAccounts, TwilioOutages], exports: [TwilioAccounts, TwilioOutages] })
export class TwilioModule extends ConfigurableModuleClass {}
