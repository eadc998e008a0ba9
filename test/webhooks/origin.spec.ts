import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication, WEBHOOK_PATH } from '../support/application.js';
import { createTestDatabase } from '../support/test-database.js';
import { nextAddress, postCallback } from './post-callback.js';

describe('the origin that signatures are checked against', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(async () => {
    await database.close();
  });

  function inEnvironment(
    env: Record<string, string | undefined>,
    description: string,
    tests: () => void,
  ): void {
    describe(description, () => {
      beforeAll(async () => {
        application = await TestApplication.start({ database, env });
      });

      afterAll(async () => {
        await application.close();
      });

      tests();
    });
  }

  async function statusOf(signedOrigin: string, headers: Record<string, string> = {}): Promise<number> {
    const target = `${WEBHOOK_PATH}?tenant=7`;
    const answer = await postCallback(application, { signedUrl: signedOrigin + target, target, headers });
    return answer.status;
  }

  const forwarded = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'public.example.com' };

  inEnvironment({ PUBLIC_BASE_URL: 'https://gate.example.com/twilio' }, 'with PUBLIC_BASE_URL', () => {
    it('is PUBLIC_BASE_URL with its path, whatever host the request names', async () => {
      expect(await statusOf('https://gate.example.com/twilio')).toBe(204);
      expect(await statusOf('https://gate.example.com/twilio', { Host: 'inside', ...forwarded })).toBe(204);
    });

    it('is no other host, and not the one without the path', async () => {
      expect(await statusOf('https://gate.example.com')).toBe(403);
      expect(await statusOf('https://public.example.com', forwarded)).toBe(403);
      expect(await statusOf(application.origin)).toBe(403);
    });
  });

  inEnvironment(
    { PUBLIC_BASE_URL: 'https://gate.example.com:8443/' },
    'with a port in PUBLIC_BASE_URL',
    () => {
      it('is accepted with or without the port, because Twilio signs either', async () => {
        expect(await statusOf('https://gate.example.com:8443')).toBe(204);
        expect(await statusOf('https://gate.example.com')).toBe(204);
        expect(await statusOf('https://gate.example.com:443')).toBe(403);
      });
    },
  );

  inEnvironment({ PUBLIC_BASE_URL: undefined, TRUST_PROXY: 'loopback' }, 'with TRUST_PROXY', () => {
    it('is the forwarded one', async () => {
      expect(await statusOf('https://public.example.com', forwarded)).toBe(204);
      expect(await statusOf(application.origin, forwarded)).toBe(403);
    });

    it('is the Host header with the forwarded scheme if no host is forwarded', async () => {
      const headers = { 'X-Forwarded-Proto': 'https', Host: 'host.example.com:8443' };
      expect(await statusOf('https://host.example.com:8443', headers)).toBe(204);
    });

    it('counts refusals by the forwarded address, not by the proxy', async () => {
      const refuse = (client: string) =>
        postCallback(application, {
          signature: null,
          from: '127.0.0.1',
          headers: { 'X-Forwarded-For': client },
        });
      for (let sent = 0; sent < 10; sent += 1) await refuse('203.0.113.1');
      expect((await refuse('203.0.113.1')).status).toBe(429);
      expect((await refuse('203.0.113.2')).status).toBe(403);
    });
  });

  inEnvironment({ TRUST_PROXY: '1' }, 'with TRUST_PROXY and PUBLIC_BASE_URL', () => {
    const origin = 'https://hooks.example.com';

    it('is PUBLIC_BASE_URL, whatever is forwarded', async () => {
      expect(await statusOf(origin, forwarded)).toBe(204);
      expect(await statusOf(origin, { ...forwarded, Host: 'inside', 'X-Forwarded-Prefix': '/x' })).toBe(204);
      expect(await statusOf('https://public.example.com', forwarded)).toBe(403);
    });

    it('leaves the address the forwarded one, in the limit for refusals and in the log', async () => {
      const refuse = (headers: Record<string, string>) =>
        postCallback(application, { signature: null, from: '127.0.0.1', headers });
      const from = (client: string) => ({ ...forwarded, 'X-Forwarded-For': `203.0.113.99, ${client}` });
      for (let sent = 0; sent < 10; sent += 1) await refuse(from('198.51.100.1'));
      expect((await refuse(from('198.51.100.1'))).status).toBe(429);
      expect((await refuse(from('198.51.100.2'))).status).toBe(403);
      expect((await refuse({ ...from('198.51.100.1'), 'X-Twilio-Signature': 'x' })).status).toBe(429);
      const lines = application.logs.lines.filter(({ message }) => message.includes('Request refused'));
      expect(lines.at(-1)).toMatchObject({
        fields: [{ ip: '198.51.100.2', checkedUrl: `${origin}${WEBHOOK_PATH}` }],
      });
      const method = await fetch(application.origin + WEBHOOK_PATH, { headers: from('198.51.100.1') });
      expect(method.status).toBe(429);
    });
  });

  inEnvironment({ PUBLIC_BASE_URL: undefined }, 'with neither', () => {
    it('is the one in the request itself', async () => {
      expect(await statusOf(application.origin)).toBe(204);
      expect(await statusOf('http://host.example.com', { Host: 'host.example.com' })).toBe(204);
    });

    it('is never a forwarded one', async () => {
      expect(await statusOf('https://public.example.com', forwarded)).toBe(403);
      expect(await statusOf(application.origin, forwarded)).toBe(204);
    });

    it.each(['a b', 'host:port', '[::1', 'höst', '%', '@', 'host:99999999'])(
      'is refused if the Host header is malformed: %s',
      async (host) => {
        expect([400, 403]).toContain(await statusOf('https://public.example.com', { Host: host }));
      },
    );

    it.each(['POST http://[ HTTP/1.1\r\nHost: x', 'POST //// HTTP/1.1\r\nHost: x'])(
      'causes no service error if the target is malformed: %j',
      async (head) => {
        expect(await rawStatus(`${head}\r\nContent-Length: 0`)).toBeLessThan(500);
      },
    );

    it.each([
      `POST ${WEBHOOK_PATH} HTTP/1.0\r\nX-Twilio-Signature: x`,
      `POST http://other.example.com${WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: x`,
    ])('is refused without a Host header, and with the target in absolute form: %j', async (head) => {
      const type = 'Content-Type: application/x-www-form-urlencoded';
      expect(await rawStatus(`${head}\r\n${type}\r\nContent-Length: 0`)).toBe(403);
    });

    function rawStatus(head: string): Promise<number> {
      return new Promise((resolve, reject) => {
        const { port } = new URL(application.origin);
        const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: nextAddress() });
        socket.once('error', reject);
        socket.once('data', (data) => {
          resolve(Number(data.toString().split(' ')[1]));
          socket.destroy();
        });
        socket.write(`${head}\r\n\r\n`);
      });
    }
  });
});
