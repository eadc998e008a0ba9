import { Module } from '@nestjs/common';
import { CommitCheck, ConfigurableModuleClass } from './commit-check.js';
import { HealthController } from './health.controller.js';

/** Imports the DomainEventsModule whose worker is checked. */
@Module({ controllers: [HealthController], providers: [CommitCheck] })
export class HealthModule extends ConfigurableModuleClass {}
