import { Module } from '@nestjs/common';
import { ConfigurableModuleClass, MessagePollsStore } from './message-polls.store.js';
import { StatusPoller } from './status-poller.js';
import { StatusPollingService } from './status-polling.service.js';

/** Pass a MessageEventsModule, a FollowerModule and a TwilioModule in `imports`. */
@Module({
  providers: [MessagePollsStore, StatusPoller, StatusPollingService],
  exports: [StatusPollingService],
})
export class StatusPollingModule extends ConfigurableModuleClass {}
