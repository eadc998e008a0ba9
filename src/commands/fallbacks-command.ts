import type { Command } from './command.js';
import { type FallbacksOptions, readFallbacksOptions } from './fallbacks-options.js';
import { usage } from './fallbacks-usage.js';
import { listFallbacks } from './list-fallbacks.js';
import { retryFallbacks } from './retry-fallbacks.js';
import { showFallback } from './show-fallback.js';

export const fallbacksCommand: Command<FallbacksOptions> = {
  usage,
  parse: readFallbacksOptions,
  run: (options, operations, terminal) => {
    switch (options.command) {
      case 'list':
        return listFallbacks(options, operations.records, terminal);
      case 'show':
        return showFallback(options, operations.records, terminal);
      case 'retry':
        return retryFallbacks(options, operations, terminal);
    }
  },
};
