import { Module } from '@nestjs/common';
import { MessagePollsStore } from './message-polls.store.js';
import { StatusPoller } from './status-poller.js';
import { ConfigurableModuleClass } from './status-polling.module-definition.js';
import { StatusPollingService } from './status-polling.service.js';

/** Pass a MessageEventsModule, a FollowerModule and a TwilioModule in `imports`. */
@Module({
  providers: [MessagePollsStore, StatusPoller, StatusPollingService],
  exports: [StatusPollingService],
})
export class StatusPollingModule extends ConfigurableModuleClass {}
