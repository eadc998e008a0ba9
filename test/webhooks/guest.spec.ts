import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  Module,
  type NestInterceptor,
  SetMetadata,
  VersioningType,
} from '@nestjs/common';
import { EventEmitterModule } from '@nestjs/event-emitter';
import type { Response } from 'express';
import { map, tap } from 'rxjs';
import { webhookController } from '../../src/webhooks/message-status.controller.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication, WEBHOOK_PATH } from '../support/application.js';
import { randomMessageSid } from '../support/seed.js';
import { postCallback, statusParameters } from './post-callback.js';

const PREFIX = '/ops/x';

@Controller({ path: 'api/v1/orders', version: '1' })
class OrdersController {
  @Get()
  list() {
    return ['an order'];
  }
}

@Module({ imports: [EventEmitterModule.forRoot({ wildcard: true })], controllers: [OrdersController] })
class TeamModule {}

/** Wraps what every handler returns, and sets a header after it. */
const wrapping: NestInterceptor = {
  intercept: (context, next) =>
    next.handle().pipe(
      map((data: unknown) => ({ data })),
      tap(() => context.switchToHttp().getResponse<Response>().setHeader('X-Team', 'yes')),
    ),
};

@Catch()
class TeamFilter implements ExceptionFilter {
  catch(_: unknown, host: ArgumentsHost): void {
    host.switchToHttp().getResponse<Response>().status(418).json({ error: 'of the team' });
  }
}

class LenientGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

describe('the service in an application with habits of its own', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: withAdminKeys,
      imports: [TeamModule],
      configure: (app) => {
        app.setGlobalPrefix(PREFIX);
        app.enableVersioning({ type: VersioningType.URI });
        app.useGlobalInterceptors(wrapping);
        app.useGlobalFilters(new TeamFilter());
        app.useGlobalGuards(new LenientGuard());
      },
    });
  });

  afterAll(async () => {
    await application.close();
  });

  it('leaves the routes of the application alone', async () => {
    const orders = await callApi(application, `${PREFIX}/v1/api/v1/orders`);
    expect(orders).toMatchObject({ status: 200, body: { data: ['an order'] } });
    expect(orders.headers.get('x-team')).toBe('yes');
    expect(orders.headers.get('content-security-policy')).toBeNull();
    expect((await callApi(application, `${PREFIX}/api/v1/nothing`)).status).toBe(418);
  });

  it('answers Twilio as ever', async () => {
    const target = PREFIX + WEBHOOK_PATH;
    const parameters = statusParameters({ MessageSid: randomMessageSid() });
    expect(await postCallback(application, { target, parameters })).toMatchObject({ status: 204, text: '' });
    expect((await postCallback(application, { target, signature: 'forged' })).status).toBe(403);
    expect(
      (await postCallback(application, { target, parameters: { ...parameters, MessageStatus: '' } })).status,
    ).toBe(400);
    expect(application.logs.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it("answers operators with the API's own bodies, errors, and headers", async () => {
    const path = `${PREFIX}/api/v1/queue`;
    const answer = await callApi(application, path);
    expect(answer).toMatchObject({ status: 200, body: { waiting: 0 } });
    const refused = await callApi(application, path, { authorization: null });
    expect(refused).toMatchObject({ status: 401, body: { statusCode: 401 } });
    for (const { headers } of [answer, refused]) {
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect((await callApi(application, `${PREFIX}/health/ready`)).body).toMatchObject({ status: 'ok' });
    const { body } = await callApi<{ counterpart: unknown }>(
      application,
      `${PREFIX}/api/v1/messages/SMnobody`,
    );
    expect(body).toMatchObject({ statusCode: 404 });
  });

  it('measures its requests by route below the prefix', async () => {
    const { text } = await callApi(application, `${PREFIX}/metrics`);
    expect(text).toMatch(/request_duration_seconds_count\{route="webhook",method="POST",status="204"\} 1/);
    expect(text).toMatch(/request_duration_seconds_count\{route="api",method="GET",status="401"\} 1/);
  });

  it('warns of global guards that may refuse Twilio, with a remedy', () => {
    const [warning, ...others] = application.logs.lines.filter(({ message }) =>
      message.startsWith('Global guards'),
    );
    expect(others).toEqual([]);
    expect(warning?.message).toContain('[Public()]');
    expect(warning?.fields).toEqual([{ guards: ['LenientGuard'] }]);
  });
});

describe('the webhook with decorators of the application', () => {
  it('has its path and what its global guard asks for, and everything else of the webhook', () => {
    const webhook = webhookController('hooks/whatsapp', [SetMetadata('isPublic', true)]);
    const original = webhookController();
    expect(Reflect.getMetadata('path', webhook)).toBe('hooks/whatsapp');
    expect(Reflect.getMetadata('isPublic', webhook)).toBe(true);
    expect(Reflect.getMetadata('isPublic', original)).toBeUndefined();
    expect(Reflect.getMetadata('path', original)).toBe(WEBHOOK_PATH.slice(1));
    expect(webhook.name).toBe('MessageStatusController');
    expect(Reflect.getMetadata('design:paramtypes', webhook)).toEqual(
      Reflect.getMetadata('design:paramtypes', original),
    );
  });
});
