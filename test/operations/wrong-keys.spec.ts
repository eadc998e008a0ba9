import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import { ADMIN_KEY, withAdminKeys } from './api.js';

const LIMIT = 10;

describe('wrong keys behind a proxy that forwards the addresses', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: { ...withAdminKeys, PUBLIC_BASE_URL: undefined, TRUST_PROXY: '1' },
    });
  });

  afterAll(async () => {
    await application.close();
  });

  async function statusFrom(address: string, key = 'a-guess'): Promise<number> {
    const { status } = await fetch(`${application.origin}/api/v1/error-codes`, {
      headers: { authorization: `Bearer ${key}`, 'x-forwarded-for': address },
    });
    return status;
  }

  it('are limited for an IPv6 network as for one address, whatever its other half is', async () => {
    for (let sent = 1; sent <= LIMIT; sent += 1) expect(await statusFrom(`2001:db8:1:2::${sent}`)).toBe(401);
    expect(await statusFrom('2001:db8:1:2:3:4:5:6')).toBe(429);
    expect(await statusFrom('2001:db8:1:3::1')).toBe(401);
    expect(await statusFrom('192.0.2.1')).toBe(401);
  });

  it('never block a valid key from the same address', async () => {
    expect(await statusFrom('2001:db8:1:2::1', ADMIN_KEY)).toBe(200);
    expect(await statusFrom('2001:db8:1:2::1')).toBe(429);
  });
});
