import { Module } from '@nestjs/common';
import { CommitCheck } from './commit-check.js';
import { HealthController } from './health.controller.js';
import { ConfigurableModuleClass } from './health.module-definition.js';

/** Imports the DomainEventsModule whose worker is checked. */
@Module({ controllers: [HealthController], providers: [CommitCheck] })
export class HealthModule extends ConfigurableModuleClass {}
