import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import { formatForm } from '../../simulator/form-parameters.js';
import { TestApplication } from '../support/application.js';
import { randomMessageSid } from '../support/seed.js';
import { jsonTextCallback } from './json-callback.js';
import { postCallback, statusParameters } from './post-callback.js';

const REPLACED = '\uFFFD';

/**
 * 30 KB that PostgreSQL cannot compress. It would compress a repeated letter before it checks the length for an
 * index.
 */
const LONG = randomBytes(22_500).toString('base64url');

describe('a signed callback with text that PostgreSQL cannot hold', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function payloadOf(messageSid: unknown): Promise<Record<string, unknown> | undefined> {
    const [row] = await application.query<{ payload: Record<string, unknown> }>(
      'select payload from message_events where message_sid = $1',
      [messageSid],
    );
    return row?.payload;
  }

  it('is stored with U+FFFD for each NUL, in names and values', async () => {
    const parameters = statusParameters({ 'a\0b': 'c\0d', Several: ['\0', 'x\0\0'] });
    expect((await postCallback(application, { parameters })).status).toBe(204);
    expect(await payloadOf(parameters.MessageSid)).toMatchObject({
      [`a${REPLACED}b`]: `c${REPLACED}d`,
      Several: [REPLACED, `x${REPLACED}${REPLACED}`],
    });
  });

  it('is stored if the NUL is in a column or the key', async () => {
    const sid = randomMessageSid();
    const parameters = statusParameters({
      MessageSid: `${sid}\0`,
      MessageStatus: 'se\0nt',
      To: 'whatsapp:+1\0' + '555',
      ErrorCode: '\0',
      ErrorMessage: '\0',
    });
    expect((await postCallback(application, { parameters })).status).toBe(204);
    const rows = await application.query('select * from message_events where message_sid = $1', [
      `${sid}${REPLACED}`,
    ]);
    expect(rows).toMatchObject([
      { message_status: `se${REPLACED}nt`, to_number: `+1${REPLACED}555`, error_code: REPLACED },
    ]);
  });

  it('is stored with U+FFFD for raw bytes that are not UTF-8', async () => {
    const parameters = statusParameters();
    const odd = Buffer.from([0x61, 0xff, 0xc3, 0x28, 0x00, 0x62]);
    const body = Buffer.concat([Buffer.from(`${formatForm(parameters)}&Odd=`), odd]);
    const signed = { ...parameters, Odd: odd.toString('utf8') };
    expect((await postCallback(application, { parameters: signed, body })).status).toBe(204);
    expect(await payloadOf(parameters.MessageSid)).toMatchObject({
      Odd: `a${REPLACED}${REPLACED}(${REPLACED}b`,
    });
  });

  it.each([
    ['a NUL', '"a\\u0000b"', `a${REPLACED}b`],
    ['a lone surrogate', '"a\\ud800b\\udc00"', `a${REPLACED}b${REPLACED}`],
    ['a whole pair', '"\\ud83c\\udf89"', '🎉'],
    ['a NUL in a name', '{"a\\u0000":1}', { [`a${REPLACED}`]: 1 }],
    ['a number with many digits', '1e300', 1e300],
    ['a name called __proto__', '{"__proto__":{"x":1}}', JSON.parse('{"__proto__":{"x":1}}')],
    ['50 levels', `${'['.repeat(50)}${']'.repeat(50)}`, JSON.parse(`${'['.repeat(50)}${']'.repeat(50)}`)],
  ])('is stored if a JSON body has %s', async (_, json, value: unknown) => {
    const parameters = statusParameters();
    const body = JSON.stringify(parameters).replace(/}$/, `,"Odd":${json}}`);
    expect((await postCallback(application, jsonTextCallback(body))).status).toBe(204);
    expect((await payloadOf(parameters.MessageSid))?.Odd).toEqual(value);
  });

  it.each([
    ['12345678901234567890123'],
    ['-12345678901234567890123.5'],
    ['9007199254740993'],
    ['0.1000000000000000055'],
    ['1e400', `1${'0'.repeat(400)}`],
    ['-2.5E-400', `-0.${'0'.repeat(399)}25`],
    ['1.50'],
    ['0.0'],
    // Text that jsonb cannot hold stays text.
    ['-0', '"-0"'],
    ['-0.0', '"-0.0"'],
    ['1e999999', '"1e999999"'],
    ['1E-999999', '"1E-999999"'],
    ['[1e2,{"a":1E+2}]', '[100, {"a": 100}]'],
    [
      '{"a":1,"b":[],"a":{"c":12345678901234567890123}}',
      '{"a": [1, {"c": 12345678901234567890123}], "b": []}',
    ],
    ['"\\u0000007"', `"${REPLACED}007"`],
    ['["\\u00001e400",1e400]', `["${REPLACED}1e400", 1${'0'.repeat(400)}]`],
    ['"12345678901234567890123 \\"1.50\\" {[,:"'],
  ])('is stored as it was sent if a JSON body has %s', async (json, stored = json) => {
    const parameters = statusParameters();
    const body = JSON.stringify(parameters).replace(/}$/, `,"Odd" : ${json} }`);
    expect((await postCallback(application, jsonTextCallback(body))).status).toBe(204);
    const [row] = await application.query(
      `select payload->'Odd' = $2::jsonb as same, (payload->'Odd')::text as odd from message_events where message_sid = $1`,
      [parameters.MessageSid, stored],
    );
    expect(row).toEqual({ same: true, odd: stored });
  });

  it('is rejected and kept as it was sent, too', async () => {
    const body = `{"AccountSid":"${demoAccount.sid}","MessageSid":12345678901234567890123,"MessageSid":1e400}`;
    expect((await postCallback(application, jsonTextCallback(body))).status).toBe(400);
    const [row] = await application.query(
      `select (payload->'MessageSid')::text as kept from rejected_callbacks order by id desc limit 1`,
    );
    expect(row).toEqual({ kept: `[12345678901234567890123, 1${'0'.repeat(400)}]` });
  });

  it('has the ErrorCode of a JSON number, however that is written', async () => {
    for (const [json, code] of [
      ['63049', '63049'],
      ['63049.0', '63049'],
      ['6.3049e4', '63049'],
      ['12345678901234567890123', '12345678901234567890123'],
      ['630490e-1', '630490e-1'],
      ['63048.99999999999999999999', '63048.99999999999999999999'],
    ] as const) {
      const parameters = statusParameters({ MessageStatus: 'failed' });
      const body = JSON.stringify(parameters).replace(/}$/, `,"ErrorCode":${json}}`);
      expect((await postCallback(application, jsonTextCallback(body))).status).toBe(204);
      const [row] = await application.query('select error_code from message_events where message_sid = $1', [
        parameters.MessageSid,
      ]);
      expect(row).toEqual({ error_code: code });
    }
  });

  it.each([
    ['an ErrorCode of 30 KB', { ErrorCode: LONG }],
    ['an ErrorMessage of 30 KB', { ErrorMessage: LONG }],
    ['a To of 30 KB', { To: `whatsapp:${LONG}` }],
    ['a From of 30 KB', { From: `whatsapp:${LONG}` }],
    ['a channel of 30 KB', { To: `c${LONG}:5` }],
    ['a ChannelPrefix of 30 KB', { To: '5', From: '6', ChannelPrefix: LONG }],
    [
      'an emoji at every length of a To',
      { To: `whatsapp:${'🎉'.repeat(1_000)}`, From: `x${'🎉'.repeat(1_000)}` },
    ],
    ['a name of 30 KB', { [LONG]: 'v' }],
    ['what looks like SQL', { To: "'); drop table message_events; --", ErrorCode: '$1' }],
  ])('is stored, every parameter of it, with %s', async (_, extra) => {
    const parameters = statusParameters({ MessageStatus: 'failed', ...(extra as Record<string, string>) });
    expect((await postCallback(application, { parameters })).status).toBe(204);
    expect(await payloadOf(parameters.MessageSid)).toEqual(parameters);
  });

  it('does not fail the callbacks that arrive with it', async () => {
    const posts = Array.from({ length: 60 }, (_, index) =>
      statusParameters(index % 3 === 0 ? { Body: '\0', MessageStatus: 'se\0nt', 'x\0': '\0' } : {}),
    );
    const answers = await Promise.all(posts.map((parameters) => postCallback(application, { parameters })));
    expect(answers.map(({ status }) => status)).toEqual(Array(60).fill(204));
    const rows = await application.query('select from message_events where message_sid = any ($1)', [
      posts.map(({ MessageSid }) => MessageSid),
    ]);
    expect(rows).toHaveLength(60);
    expect(posts[0]?.AccountSid).toBe(demoAccount.sid);
  });
});
