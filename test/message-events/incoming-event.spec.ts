import { describe, expect, it } from '@jest/globals';
import { validate, version } from 'uuid';
import { incomingEvents } from '../../src/message-events/message-events.store.js';
import type { MessageStatusReport } from '../../src/message-events/message-status-report.js';

function reports(count: number): MessageStatusReport[] {
  return Array.from({ length: count }, (_, index) => ({
    messageSid: `SM${String(index).padStart(32, '0')}`,
    messageStatus: 'sent',
    channel: 'whatsapp',
    toNumber: null,
    fromNumber: null,
    errorCode: null,
    errorMessage: null,
    accountSid: 'AC0',
    payload: {},
    source: 'callback',
    smsFallbackId: null,
    callbackUrl: null,
  }));
}

describe('the ids of events that are stored together', () => {
  it('are UUIDs of version 7 that sort in the order of their reports', () => {
    const together = reports(250);
    const incoming = incomingEvents(together);
    expect(incoming.map(({ report }) => report)).toEqual(together);
    const ids = incoming.map(({ id }) => id);
    expect(ids.filter((id) => !validate(id) || version(id) !== 7)).toEqual([]);
    expect([...ids].sort()).toEqual(ids);
  });

  it('carry the time of their creation', () => {
    const before = Date.now();
    const [event] = incomingEvents(reports(1));
    const time = parseInt(String(event?.id).replaceAll('-', '').slice(0, 12), 16);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
  });

  it('never repeat, not even among groups of one millisecond', () => {
    const ids = Array.from({ length: 400 }, () => incomingEvents(reports(25)).map(({ id }) => id)).flat();
    expect(new Set(ids).size).toBe(10_000);
  });

  it('are an empty list without reports', () => {
    expect(incomingEvents([])).toEqual([]);
  });
});
