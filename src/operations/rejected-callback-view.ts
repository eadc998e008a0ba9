import { z } from 'zod';
import { maskDeep } from '../messages/masked-number.js';
import { cursorOf, limit, numbers, pageOf, parameters } from './page.js';
import type { RejectedCallback } from '../webhooks/rejected-callback.entity.js';

const position = z.object({ id: z.string().regex(/^\d{1,18}$/) });

export const rejectedCallbacksQuery = parameters({ limit, cursor: cursorOf(position), numbers });

export type RejectedCallbacksQuery = z.output<typeof rejectedCallbacksQuery>;

export const rejectedCallback = z.object({
  id: z.string(),
  reason: z.string(),
  payload: z.record(z.string(), z.unknown()).describe('every parameter as received'),
  createdAt: z.date(),
});

export const rejectedCallbackPage = pageOf(rejectedCallback);

export function rejectedCallbackView(
  { id, reason, payload, createdAt }: RejectedCallback,
  showNumbers: boolean,
): z.output<typeof rejectedCallback> {
  return { id, reason, payload: showNumbers ? payload : maskDeep(payload), createdAt };
}
