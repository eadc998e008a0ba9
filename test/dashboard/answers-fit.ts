import type { z } from 'zod';
import type * as page from '../../dashboard/answers.js';
import type { eventPage } from '../../src/operations/event-search.js';
import type { fallbackPage, RetryView } from '../../src/operations/fallback-schema.js';
import type { JourneyView } from '../../src/operations/messages.controller.js';
import type { queueSchema } from '../../src/operations/queue.controller.js';
import type { Statistics } from '../../src/operations/statistics.store.js';

/** A value as it comes out of JSON. */
type Json<Value> = Value extends Date
  ? string
  : Value extends readonly (infer Item)[]
    ? readonly Json<Item>[]
    : Value extends object
      ? { readonly [Key in keyof Value]: Json<Value[Key]> }
      : Value;

/** It compiles only while what the API answers is what the page takes it for. */
export const answersFit = {
  statistics: (answer: Json<Statistics>): page.Statistics => answer,
  queue: (answer: Json<z.output<typeof queueSchema>>): page.Queue => answer,
  fallbacks: (answer: Json<z.output<typeof fallbackPage>>): page.Newest<page.Fallback> => answer,
  events: (answer: Json<z.output<typeof eventPage>>): page.Newest<page.StoredEvent> => answer,
  journey: (answer: Json<JourneyView>): page.Journey => answer,
  retry: (answer: Json<RetryView>): page.Retry => answer,
};
