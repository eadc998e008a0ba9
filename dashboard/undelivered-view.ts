import { html, type nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Fallback, Newest } from './answers.js';
import type { Meanings } from './error-codes-view.js';
import { type Card, fallbackCards } from './fallback-cards.js';

/** Lists fallbacks whose SMS was sent and not delivered. There is no retry button: it would send a second SMS. */
export function undeliveredView(
  undelivered: Newest<Fallback>,
  time: string,
  meanings: Meanings,
): TemplateResult | typeof nothing {
  return fallbackCards(`SMS not delivered, ${time}`, undelivered, meanings, {
    cardOf,
    whereMore: html`The API lists all: <code>/api/v1/fallbacks?undelivered=true</code>.`,
  });
}

function cardOf({ duplicateDeliveryAt, smsErrorCode }: Fallback): Card {
  return {
    words:
      duplicateDeliveryAt === null ? 'The person got neither.' : 'WhatsApp delivered the message after all.',
    code: smsErrorCode,
  };
}
