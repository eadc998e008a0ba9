import { ApplicationConfig } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NextFunction, Request, Response } from 'express';
import { z } from 'zod';
import { AdminAccess } from './admin-access.js';
import { AdminKeys } from './admin-keys.js';
import { OperationsModule } from './operations.module.js';
import { securityHeaders } from './security-headers.js';

const PATH = 'api/docs';

/**
 * Serves the API's description, generated from the code: a page at /api/docs, and OpenAPI at /api/docs-json, below the
 * global prefix, if there is one by now. A browser cannot send a Bearer token by itself, so these read-only routes also
 * accept the key as a password (Basic).
 */
export function setUpApiDocs(app: NestExpressApplication): void {
  if (!app.get(AdminKeys, { strict: false }).areConfigured) return;
  const access = app.get(AdminAccess, { strict: false });
  const admit = (request: Request, response: Response, next: NextFunction): void => {
    access.admit(request, response, ['Bearer', 'Basic', 'Session']).then(() => {
      next();
    }, next);
  };
  const prefix = app
    .get(ApplicationConfig)
    .getGlobalPrefix()
    .replace(/^\/|\/$/g, '');
  const path = prefix === '' ? PATH : `${prefix}/${PATH}`;
  app.use([`/${path}`, `/${path}-json`], docsHeaders, admit);
  access.describesApi = true;
  SwaggerModule.setup(path, app, () => describe(app), {
    raw: ['json'],
    customSiteTitle: 'whatsapp-sms-fallback API',
  });
}

/** Swagger UI's page has inline styles, but no inline scripts. */
const docsHeaders = securityHeaders({
  scriptSrc: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
});

function describe(app: NestExpressApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('whatsapp-sms-fallback')
    .setDescription('For operators: what happened to each message, and why.')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'one of ADMIN_API_KEYS' })
    .build();
  return SwaggerModule.createDocument(app, config, {
    include: [OperationsModule],
    standardSchemaConverter: (schema, { schemaType }) =>
      schema instanceof z.ZodType ? { schema: jsonSchema(schema, schemaType) } : undefined,
  });
}

/** Times are dates in the code and strings in JSON. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): unknown {
  return z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema instanceof z.ZodDate) Object.assign(jsonSchema, { type: 'string', format: 'date-time' });
    },
  });
}
