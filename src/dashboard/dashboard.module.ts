import { type DynamicModule, Module } from '@nestjs/common';
import { Changes, ChangesController, ChangeStreams } from './changes.js';
import { DashboardController } from './dashboard.controller.js';
import { PageAssets } from './page-assets.js';

/** The page at /dashboard. It shows what the operators' API answers below the same prefix. */
@Module({
  controllers: [ChangesController, DashboardController],
  providers: [Changes, ChangeStreams, PageAssets],
})
export class DashboardModule {
  /**
   * @param operations the OperationsModule whose keys open the page.
   * @param twilio the TwilioModule whose outages it shows.
   */
  static forOperations(operations: DynamicModule, twilio: DynamicModule): DynamicModule {
    return { module: DashboardModule, imports: [operations, twilio] };
  }
}
