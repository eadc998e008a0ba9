import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readContent } from '../../src/webhooks/callback-request.js';
import { misdirectedRequest } from '../../src/webhooks/misdirected-requests.js';

/** Names and values that identify other requests of Twilio. */
const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    ...['Body', 'NumMedia', 'SmsMessageSid', 'SmsStatus', 'EventType', 'ConversationSid', 'ChatServiceSid'],
    ...['CallSid', 'RecordingSid', 'PayloadType', 'Level', 'Sid', 'WorkspaceSid', 'RoomSid', 'type', 'data'],
    ...['specversion', 'service_sid', 'UsageTriggerSid', 'StatusCallbackEvent', '__proto__', 'constructor'],
  ),
);
const known = fc.constantFrom(
  'received',
  'onMessageAdded',
  'task.created',
  'NO1',
  'VA1',
  'com.twilio.x',
  '1.0',
);
const parameters = fc.dictionary(name, fc.oneof(known, fc.jsonValue({ maxDepth: 2 })), { maxKeys: 12 });

describe('a request that belongs at another URL', () => {
  it('is never a body with MessageSid and MessageStatus', () => {
    let recognized = 0;
    fc.assert(
      fc.property(parameters, fc.jsonValue(), fc.jsonValue(), (others, MessageSid, MessageStatus) => {
        if (misdirectedRequest(readContent(JSON.stringify(others), 'json')) !== null) recognized += 1;
        const body = JSON.stringify({ ...others, MessageSid, MessageStatus });
        expect(misdirectedRequest(readContent(body, 'json'))).toBeNull();
      }),
      { numRuns: 2_000 },
    );
    expect(recognized).toBeGreaterThan(500);
  });

  it('is never a form with MessageSid and MessageStatus, once or repeated', () => {
    const value = fc.oneof(known, fc.string({ maxLength: 10 }));
    const pairs = fc.array(fc.tuple(name, value), { maxLength: 12 });
    const toForm = (list: [string, string][]) => new URLSearchParams(list).toString();
    fc.assert(
      fc.property(pairs, fc.array(value, { minLength: 1, maxLength: 3 }), (others, sids) => {
        const own = sids.flatMap((sid): [string, string][] => [
          ['MessageSid', sid],
          ['MessageStatus', sid],
        ]);
        const form = toForm([...others, ...own]);
        expect(misdirectedRequest(readContent(form, 'form'))).toBeNull();
      }),
      { numRuns: 1_000 },
    );
  });

  it('is not a body that merely lacks something', () => {
    for (const body of [
      '',
      'MessageSid=SM1',
      'SmsSid=SM1&SmsStatus=sent',
      'MessageStatus=sent&To=1',
      'Body=x',
    ]) {
      expect(misdirectedRequest(readContent(body, 'form'))).toBeNull();
    }
    for (const body of ['', '7', 'null', '"text"', '[]', '{}', '{"specversion":"1.0"}', '{broken']) {
      expect(misdirectedRequest(readContent(body, 'json'))).toBeNull();
    }
  });
});
